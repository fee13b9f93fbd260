"""Correcting a labelmap by a few clicks or scribbles."""
