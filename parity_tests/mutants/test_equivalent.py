"""The list of equivalent mutants is of the code as it stands; `make mutants` sees whether no test kills them."""

import pytest

from parity_tests.mutants.equivalent import EQUIVALENT
from parity_tests.mutants.mutator import mutants
from parity_tests.mutants.runner import ROOT


@pytest.mark.parametrize("file", sorted({file for file, _ in EQUIVALENT}))
def test_every_entry_is_a_mutant_of_its_function(file):
    keys = {mutant.key for mutant in mutants(file, (ROOT / file).read_text(encoding="utf-8"))}
    listed = {(*where, *lines) for where, entries in EQUIVALENT.items() for lines in entries if where[0] == file}
    assert listed <= keys, f"equivalent: no such mutants any more; take them out: {sorted(listed - keys)}"
