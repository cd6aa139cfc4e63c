"""Mutants that no test can tell from the code, each with its reason, a file for each family.

{(file, function): {(the line before, the line after): reason}}, the lines as `make mutants` prints them. An entry that
no mutant has any more, or that a test tells from the code after all, is an error.
"""

from parity_tests.mutants.equivalent import activation, attention, base, beyond_torch, layers, loss, optim, rnn, windows
from parity_tests.mutants.equivalent.form import merged

FAMILIES = (activation, attention, base, beyond_torch, layers, loss, optim, rnn, windows)
EQUIVALENT = merged(*(family.EQUIVALENT for family in FAMILIES))
