"""Mutants that no test can tell from the code, each with its reason: (file, function): {(before, after): reason}."""

EQUIVALENT: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
