"""Speed against a named peer in the same run. Each benchmark writes results/<name>.json."""
