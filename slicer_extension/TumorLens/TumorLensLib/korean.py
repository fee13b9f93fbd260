"""Korean panel texts by English sentence."""

KOREAN: dict[str, str] = {}
