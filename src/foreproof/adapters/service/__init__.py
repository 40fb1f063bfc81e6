"""What the service keeps for itself: keys, audit, usage and jobs, each row under its tenant."""
