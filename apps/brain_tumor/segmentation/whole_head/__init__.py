"""The whole tumour on slices of heads as the scanner makes them."""
