"""What is measured on the outline of a tumour and around it."""
