"""The HTTP doors: one for the control plane, one for the gateway."""
