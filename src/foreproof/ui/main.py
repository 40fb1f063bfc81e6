"""What `foreproof ui` runs: the menu, and around each page what turns an error into words."""

from __future__ import annotations

import logging
from collections.abc import Callable

import streamlit as st

from foreproof.ui import parts
from foreproof.ui.client import ApiError, Client, connect
from foreproof.ui.settings import PageSettings, read_page_settings
from foreproof.ui.views import View, views

# Drawn here: a named icon would be fetched from another host.
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="11" fill="#0072B2"/>'
    '<path d="M6.5 12.5l3.8 3.8 7.2-8" fill="none" stroke="#fff" stroke-width="2.6"/></svg>'
)
_STYLE = """<style>
.stMainBlockContainer {padding-top: 2.5rem; padding-bottom: 3rem}
[data-testid="stMetricValue"] {font-size: 1.6rem}
</style>"""
_LOG = logging.getLogger("foreproof.ui")


@st.cache_resource(show_spinner=False)
def _client(settings: PageSettings) -> Client:
    return connect(settings)


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config(page_title="Foreproof", page_icon=_ICON, layout="wide")
    client = _client(read_page_settings())
    sections: dict[str, list[st.Page]] = {}
    pages = {}
    for place, view in enumerate(views()):
        page = st.Page(_shown(view, client), title=view.title, icon=view.icon, url_path=view.name, default=place == 0)
        pages[view.name] = page
        sections.setdefault(view.section, []).append(page)
    st.session_state["pages"] = pages
    st.navigation(sections, expanded=True).run()
    _caller(client)


def _shown(view: View, client: Client) -> Callable[[], None]:
    """What Streamlit calls to draw a page: it takes no argument."""

    def draw() -> None:
        guarded(view, client)

    return draw


def guarded(view: View, client: Client) -> None:
    """Draw a page; an error of the API stands on it in words."""
    st.html(_STYLE)
    st.title(view.title, anchor=False)
    try:
        view.render(client)
    except parts.Finished:
        return
    except ApiError as error:
        parts.problem(error)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        # The two sides may be of different versions; the reader gets words, the log gets the trace.
        _LOG.exception("page %s", view.name)
        parts.problem(
            ApiError(
                "The service answered with something this page does not understand.",
                status=1,
                found=f"{type(error).__name__}: {error}",
                fix="run foreproof serve and foreproof ui from the same version",
            )
        )


def _caller(client: Client) -> None:
    """Who is calling, at the foot of the sidebar; quiet where the service does not say."""
    with st.sidebar:
        try:
            me = client.get("/me")
        except ApiError as error:
            st.caption(
                f":material/cloud_off: {client.url}" if error.status == 0 else f":material/key_off: {client.url}"
            )
            return
        st.caption(f":material/person: tenant {me.get('tenant')}, role {me.get('role')}")


if __name__ == "__main__":
    main()

__all__ = ["guarded", "main"]
