"""What playbooks and operators call: bootstrap, health, smoke."""
