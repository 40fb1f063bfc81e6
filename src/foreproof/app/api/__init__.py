"""The HTTP API: one file a group of routes under `routes`, one dependency through which all of them reach a tenant's things."""
