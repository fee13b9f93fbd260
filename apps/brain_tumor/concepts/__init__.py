"""Visual symptoms: a vision-language reader whose reasons are words."""
