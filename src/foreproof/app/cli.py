"""The command line: `foreproof COMMAND`. Exit codes: 0 fine, 1 a check failed, 2 bad input."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from foreproof.app import commands, commands_features, commands_pairs, commands_runs, diagnosis
from foreproof.app.audit import Asked, show_audit
from foreproof.app.ci import prove_ci
from foreproof.app.cli_copilot import copilot_app
from foreproof.app.cli_jobs import jobs_app, worker_app
from foreproof.app.cli_keys import keys_app, operations_app
from foreproof.app.cli_runs import Folder, log_app, runs_app
from foreproof.app.cli_serve import serve_app
from foreproof.app.cli_ui import ui_app
from foreproof.app.cli_watch import watch_app
from foreproof.app.commands_backup import show_backup, show_restore
from foreproof.app.commands_settings import show_settings
from foreproof.app.start import answering
from foreproof.engine.prequential import FreezeTerms
from foreproof.errors import BadInput

Horizon = Annotated[int | None, typer.Option(help="steps ahead, instead of the plan's")]
Policy = Annotated[str | None, typer.Option(help="one policy of features for every group, instead of the plan's")]
Plant = Annotated[str, typer.Option(help="a leak of the zoo (docs/zoo.md) to plant: the proof has to fail")]
Tag = Annotated[str, typer.Option(help="a word to find the run by")]
Parent = Annotated[str, typer.Option(help="the run that this one follows")]

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Forecasts and orders, with proof.", rich_markup_mode=None
)
new_app = typer.Typer(no_args_is_help=True, help="Make a project.")
scenario_app = typer.Typer(no_args_is_help=True, help="What if a plan were another one.")
mapping_app = typer.Typer(no_args_is_help=True, help="Look at the rules of product groups.")
demo_app = typer.Typer(no_args_is_help=True, help="The main job on real data.")
for name, group in (
    ("new", new_app),
    ("runs", runs_app),
    ("log", log_app),
    ("jobs", jobs_app),
    ("scenario", scenario_app),
    ("mapping", mapping_app),
    ("demo", demo_app),
    ("keys", keys_app),
):
    app.add_typer(group, name=name)
app.add_typer(serve_app)
app.add_typer(operations_app)
app.add_typer(watch_app)
app.add_typer(copilot_app)
app.add_typer(worker_app)
app.add_typer(ui_app)


@new_app.command("forecast")
def new_forecast(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="where to make it")],
    data: Annotated[Path, typer.Option(help="a CSV, Parquet or Excel file with a date and a number")],
) -> None:
    """Guess a plan from a file of yours, and write it with comments."""
    commands.new_forecast(folder, data)


@new_app.command("propensity")
def new_propensity(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="where to make it")],
    data: Annotated[Path, typer.Option(help="a CSV, Parquet or Excel file of purchases")],
    account: Annotated[str, typer.Option(help="the column that says who bought")],
    group: Annotated[str, typer.Option(help="the column that says what kind of product")],
    value: Annotated[str, typer.Option(help="the column that says for how much")],
) -> None:
    """Guess a plan from a file of purchases, and write it with comments."""
    commands_pairs.new_propensity(folder, data, account=account, group=group, value=value)


def _stage(name: str, words: str) -> None:
    def command(
        project: Folder = Path(), horizon: Horizon = None, policy: Policy = None, tag: Tag = "", parent: Parent = ""
    ) -> None:
        changes = {"horizon": horizon, "policy": policy}
        raise typer.Exit(commands.run(project, until=name, changes=changes, tag=tag, parent=parent))

    command.__doc__ = words
    app.command(name)(command)


_stage("check", "Hold every source against its contract and look for what would mislead a forecast (preflight.json).")
_stage("load", "Check, then write the facts into the lake; loading a batch twice changes nothing.")


@app.command("features")
def features(
    project: Folder = Path(),
    horizon: Horizon = None,
    policy: Policy = None,
    tag: Tag = "",
    parent: Parent = "",
    listed: Annotated[bool, typer.Option("--list", help="only list the plan's features; nothing is loaded")] = False,
    write: Annotated[
        Path | None, typer.Option(help="only write the plan's features, as a file for `features:`")
    ] = None,
) -> None:
    """Load, then compile the features that would be served, and list each with what it reads."""
    if listed or write is not None:
        commands_features.list_features(project, write=write, horizon=horizon, policy=policy)
    else:
        code = commands_features.compile_features(project, horizon=horizon, policy=policy, tag=tag, parent=parent)
        raise typer.Exit(code)


_stage("train", "Features, then fit every model at every cutoff that is served or calibrates.")
_stage("backtest", "Train, then score the past origins.")


@app.command()
def prove(
    project: Folder = Path(),
    only: Annotated[list[str] | None, typer.Option(help="run this check alone; may come again")] = None,
    plant: Plant = "",
    horizon: Horizon = None,
    tag: Tag = "",
    parent: Parent = "",
    ci: Annotated[bool, typer.Option("--ci", help="the structural tier alone, a line for each fault")] = False,
    fail_on: Annotated[
        list[str] | None, typer.Option(help="with --ci, also: permutation, base rate or cards; may come again")
    ] = None,
) -> None:
    """Backtest, then run every check beside its planted fault; exit code 1 where one fails."""
    if fail_on and not ci:
        raise BadInput("--fail-on", found="no --ci", wanted="both", fix="foreproof prove --ci --fail-on permutation")
    if ci:
        if only or plant:
            found = "--only" if only else "--plant"
            raise BadInput("--ci", found=f"{found} beside it", wanted="one of them")
        raise typer.Exit(prove_ci(project, fail_on=fail_on or (), horizon=horizon, tag=tag, parent=parent))
    changes, proof = {"horizon": horizon}, {"only": only, "plant": plant}
    code = commands.run(project, until="prove", changes=changes, proof=proof, tag=tag, parent=parent)
    raise typer.Exit(code)


_stage("predict", "Prove, then write the forecast.")
_stage("decide", "Predict, then recommend order quantities and replay them in money.")
_stage("run", "All stages, ending with one page.")


@scenario_app.command("add")
def scenario_add(
    name: Annotated[str, typer.Argument()],
    changes: Annotated[list[str], typer.Option("--set", help="TABLE.COLUMN=NUMBER, or += or *=; may come again")],
    steps: Annotated[str, typer.Option(help="FIRST-LAST, steps after the cutoff")],
    author: Annotated[str, typer.Option(help="who asks")],
    reason: Annotated[str, typer.Option(help="why")],
    where: Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE[,VALUE]; may come again")] = None,
    project: Folder = Path(),
) -> None:
    """Keep a named override of plans that are known ahead: a promotion in week 3, a price 5% lower."""
    commands.scenario_add(project, name, sets=changes, wheres=where or [], steps=steps, by=(author, reason))


@scenario_app.command("list")
def scenario_list(project: Folder = Path()) -> None:
    """Every scenario that was not removed."""
    commands.scenario_list(project)


@scenario_app.command("run")
def scenario_run(
    names: Annotated[list[str], typer.Argument(metavar="NAME...")],
    price: Annotated[float | None, typer.Option(help="money that a unit more brings")] = None,
    project: Folder = Path(),
) -> None:
    """Forecast beside the baseline: the difference with its interval, the orders that follow, and the support."""
    commands.scenario_run(project, names, price=price)


@scenario_app.command("remove")
def scenario_remove(name: Annotated[str, typer.Argument()], project: Folder = Path()) -> None:
    """Take a scenario back; what was asked stays on record."""
    commands.scenario_remove(project, name)


@app.command()
def voi(run: Annotated[str, typer.Argument(metavar="[RUN]")] = "", project: Folder = Path()) -> None:
    """What perfect information, this forecast and a better one are worth, by item, in the newest run or the one named."""
    commands.voi(project, run)


@app.command()
def spend(
    budget: Annotated[float, typer.Argument(help="units, or what decision.capacity.per counts")],
    run: Annotated[str, typer.Argument(metavar="[RUN]")] = "",
    project: Folder = Path(),
) -> None:
    """The lots that a budget buys, by money saved per unit of it, and what one more unit would save."""
    commands.spend(project, run, budget=budget)


Groups = Annotated[list[str] | None, typer.Option("--group", help="a group on its own; may come several times")]
Freeze = Annotated[str, typer.Option(help="the date at which all is frozen, instead of the earliest judged cutoff")]
Months = Annotated[int | None, typer.Option(help="how many windows are scored; all by default")]
Window = Annotated[int | None, typer.Option(help="steps from one window to the next, instead of backtest.every")]
Variants = Annotated[list[str] | None, typer.Option("--variant", help="a policy of features; may come several times")]


@app.command("prequential")
def prequential(
    group: Groups = None,
    freeze: Freeze = "",
    months: Months = None,
    window: Window = None,
    variant: Variants = None,
    project: Folder = Path(),
) -> None:
    """Freeze a propensity at one cutoff and score it month by month on what came after."""
    terms = FreezeTerms(tuple(group or ()), freeze, months, window)
    commands_pairs.frozen(project, variants=tuple(variant or ()), terms=terms)


@app.command("ablate")
def ablate(
    group: Groups = None,
    freeze: Freeze = "",
    months: Months = None,
    window: Window = None,
    variant: Variants = None,
    apply: Annotated[bool, typer.Option("--apply", help="write the chosen policies into the plan")] = False,
    threshold: Annotated[float, typer.Option(help="the largest loss of AUC that does not matter")] = 0.005,
    project: Folder = Path(),
) -> None:
    """Judge a frozen propensity without the features that a leak could hide in; its far months decide, group by group."""
    terms = FreezeTerms(tuple(group or ()), freeze, months, window)
    commands_pairs.ablation(project, variants=tuple(variant or ()), terms=terms, apply=apply, threshold=threshold)


@mapping_app.command("check")
def mapping_check(project: Folder = Path()) -> None:
    """What each product group holds in the loaded purchases, and what is wrong with its rules; exit code 1 for an error."""
    raise typer.Exit(commands_pairs.mapping_check(project))


@app.command("audit")
def audit(
    command: Annotated[
        str, typer.Option(help='what makes features: "python my.py {tables} {out}", with {cutoff} if it takes one')
    ],
    tables: Annotated[Path, typer.Option(help="a folder with one Parquet or CSV file a table")],
    time: Annotated[list[str], typer.Option(help="when a row happened: COLUMN, or TABLE=COLUMN; may come again")],
    known: Annotated[list[str] | None, typer.Option(help="when a row could first be read: TABLE=COLUMN")] = None,
    constant: Annotated[list[str] | None, typer.Option(help="TABLE=WHY, for one that never changes")] = None,
    entity: Annotated[
        list[str] | None, typer.Option(help="a column that says whose the features are; may come again")
    ] = None,
    rows: Annotated[str, typer.Option(help="the table whose rows the features are of, without {cutoff}")] = "",
    cutoff: Annotated[
        list[str] | None, typer.Option(help="a date, instant or step to cut at; else some are chosen")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="where to write the report as HTML")] = None,
) -> None:
    """Put a program of yours that reads tables and writes features through the checks; exit code 1 where one fails."""
    clocks = {"time": time, "known": known or [], "constant": constant or []}
    asked = Asked(command, tables, tuple(cutoff or ()), clocks, tuple(entity or ()), rows)
    raise typer.Exit(show_audit(asked, page))


@app.command("card")
def card(
    run: Annotated[str, typer.Argument(metavar="[RUN]")] = "",
    group: Annotated[str, typer.Option(help="The product group; all of them without it.")] = "",
    project: Folder = Path(),
) -> None:
    """Print a model card: how the model was made, what past cutoffs showed, what it cannot do."""
    commands_runs.cards_show(project, run, group=group)


@app.command("scale")
def forecast_in_chunks(
    project: Folder = Path(),
    chunk: Annotated[int, typer.Option(help="series in a chunk")] = 2000,
    proof: Annotated[bool, typer.Option(help="put the first chunk through backtest and gauntlet")] = True,
) -> None:
    """Forecast very many series from the lake, chunk by chunk; a killed call goes on where it stopped."""
    raise typer.Exit(commands.forecast_in_chunks(project, chunk=chunk, proof=proof))


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="SELECT ... FROM table, or table_versions for every version")],
    project: Folder = Path(),
    as_of: Annotated[str, typer.Option(help="only what was known at this date or instant")] = "",
) -> None:
    """Query the facts with DuckDB: as of now, or as of any moment."""
    commands.sql(project, query, as_of=as_of)


@app.command()
def diagnose(
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="a run, or the beginning of its id; else the latest")
    ] = "",
    project: Folder = Path(),
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="ORIGIN ORIGIN", help="what changed from one judged origin to another"),
    ] = None,
) -> None:
    """Say where the error of a recorded run comes from: tests, parts, days, events, and model against model."""
    raise typer.Exit(diagnosis.show(project, run, between=between))


@app.command()
def backup(
    archive: Annotated[Path, typer.Argument(metavar="FILE.tar", help="the archive, a new file")],
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="a project, or the home of a service")] = Path(),
) -> None:
    """Write a project or a home into one verified file, while others may go on writing."""
    show_backup(archive, folder)


@app.command()
def restore(
    archive: Annotated[Path, typer.Argument(metavar="FILE.tar", help="what `foreproof backup` wrote")],
    folder: Annotated[Path, typer.Argument(metavar="NEWDIR", help="a new folder")],
    catalog: Annotated[str, typer.Option(help="URL of an empty catalogue for the log and the runs")] = "",
) -> None:
    """Make a folder of a backup again, whole or not at all; 1 where the archive, a log or a table does not hold."""
    show_restore(archive, folder, catalog=catalog)


@app.command()
def settings(project: Folder = Path()) -> None:
    """Print each setting of a folder, its value, and where that was said; a secret only as set or not set."""
    show_settings(project)


@app.command()
def doctor() -> None:
    """Say what is installed, missing or too old, and how to get it."""
    raise typer.Exit(commands.doctor())


@demo_app.command("forecast")
def demo_forecast(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]")] = Path("demo/forecast"), plant: Plant = ""
) -> None:
    """Daily demand of 200 grocery categories, with promotions known ahead: forecast, order, prove."""
    raise typer.Exit(commands.demo_forecast(folder, plant=plant))


@demo_app.command("propensity")
def demo_propensity(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]")] = Path("demo/propensity"), plant: Plant = ""
) -> None:
    """Households x departments of the same year of grocery baskets: whom to call for what, with its proof."""
    raise typer.Exit(commands_pairs.demo_propensity(folder, plant=plant))


@demo_app.command("smoke")
def demo_smoke(folder: Annotated[Path, typer.Argument(metavar="[DIR]")] = Path("demo/smoke")) -> None:
    """A shipped two-column CSV through everything, and a check of every artefact."""
    raise typer.Exit(commands.demo_smoke(folder))


def main() -> None:
    """The entry point: errors of ours become one line and an exit code; Ctrl-C leaves finished steps to resume from."""
    at = datetime.now(UTC)
    answering(
        app, stopped=f"stopped (begun at {at:%H:%M:%S} UTC); run the same command again to go on where it stopped"
    )


__all__ = ["app", "main"]
