"""The Qt side of the module: one class a tab, and a controller that holds them together."""
