"""The certificate's identities of online methods, on networks that are richer than those it has built in."""

from functools import partial

import pytest

from rnnjax.certificate import built_in, enumeration
from rnnjax.certificate.instances import tiny
from rnnjax.config import GradientConfig
from rnnjax.model.cells import find

GRU = {"cell": find("gru")}
ENUMERATED = {
    "uoro": (enumeration.over_signs, GRU | {"layers": 2, "learned_state": True}),
    "kf_rtrl": (enumeration.over_signs, GRU | {"layers": 2, "residual": True, "embedding": 2}),
    "artbp": (enumeration.over_cuts, {"cell": find("lstm"), "layers": 2}),
}
ALONG_GRAPHS = {
    "snap": (GRU | {"learned_state": True}, {"snap_steps": 2}),
    "rflo": ({"cell": find("leaky"), "dropout": True}, {"feedback": "readout"}),
}


def check(found):
    found = list(found)
    assert len(found) >= 2  # equal where it must be, and different where it must be
    assert [check for check in found if check.verdict != "PASS"] == []


@pytest.mark.parametrize("name", ENUMERATED)
def test_the_average_over_all_noise_is_exact_on_a_richer_network(name):
    over_all, network = ENUMERATED[name]
    check(over_all(name, partial(tiny, "richer", **network), GradientConfig(name), True))


@pytest.mark.parametrize("name", ALONG_GRAPHS)
def test_a_richer_network_is_exact_where_its_graph_says_so(name):
    check(built_in.along_graphs(name, ALONG_GRAPHS[name][0], GradientConfig(name), ALONG_GRAPHS[name][1]))
