"""What runs in processes of its own beside the servers: the baselines, the participants, the loads."""
