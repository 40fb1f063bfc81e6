"""The pages: Streamlit over the HTTP API, which is all they know of a project; nothing of foreproof is imported here."""
