"""The certificate's identities of online methods, on networks that are richer than those it has built in."""

import pytest

from rnnjax.certificate import built_in, enumeration
from rnnjax.config import GradientConfig
from rnnjax.model.cells import find

GRU = {"cell": find("gru")}
RICHER = {  # the method, what is held, the network, options
    "uoro": (enumeration.over_signs, GRU | {"layers": 2, "learned_state": True}),
    "kf_rtrl": (enumeration.over_signs, GRU | {"layers": 2, "residual": True, "embedding": 2}),
    "artbp": (enumeration.over_cuts, {"cell": find("lstm"), "layers": 2}),
    "snap": (built_in.along_graphs, GRU | {"learned_state": True}, {"snap_steps": 2}),
    "rflo": (built_in.along_graphs, {"cell": find("leaky"), "dropout": True}, {"feedback": "readout"}),
}


@pytest.mark.parametrize("name", RICHER)
def test_an_identity_holds_on_a_richer_network(name):
    holds, kind, *options = RICHER[name]
    checks = list(holds(name, kind, GradientConfig(name), *options))
    assert len(checks) >= 2
    assert [check for check in checks if check.verdict != "PASS"] == []
