"""Series from tables of numbers: as people have them, and refused in one line, with the row."""

import gzip

import pytest
from test_series_data import LABELS, of, write

from rnnjax.config import Config, DataConfig
from rnnjax.data.series import shifted
from rnnjax.data.sources import read_series
from rnnjax.data.table import inputs_of_table
from rnnjax.errors import UserError

TABLE = "who,a,b,kind\nu,1,10,x\nu,2,20,y\nv,3,30,x\nu,4,40,x\nv,5,50,z\n"


def test_a_table_becomes_one_series_or_several(tmp_path):
    path = write(tmp_path / "t.csv", TABLE)
    one = of("forecasting", path, columns="a, b", targets="b")
    assert one.x.tolist() == [[[1, 10], [2, 20], [3, 30], [4, 40], [5, 50]]]
    assert one.y.tolist() == [[[10], [20], [30], [40], [50]]]
    assert one.names[:4] == (["a", "b"], 0, ["b"], None)
    ahead = shifted(one, 2)
    assert ahead.x[0].tolist() == [[1, 10], [2, 20], [3, 30]]
    assert ahead.y[0].tolist() == [[30], [40], [50]]
    assert ahead.length.tolist() == [3]

    several = of("tagging", path, series="who", columns="b", targets="kind")
    assert several.keys == ["u", "v"]
    assert several.length.tolist() == [3, 2]
    assert several.x[..., 0].tolist() == [[10, 20, 40], [30, 50, 0]]
    assert several.y.tolist() == [[0, 1, 0], [0, 2, 0]]
    assert several.names.labels == ["x", "y", "z"]

    whole = of("classification", write(tmp_path / "w.csv", "s,a,k\n1,1,p\n1,2,p\n2,3,q\n"), series="s", targets="k")
    assert whole.names.inputs == ["a"]
    assert whole.y.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "fields", "says"),
    [
        ("a,b\n1,2\n3,x\n", {}, r"row 3 of .* \(the header is row 1\) has 'x' in column 'b'"),
        ('a,b\n1,"1,234"\n', {}, r"row 2 .* has '1,234' in column 'b'.*without separators of thousands"),
        ("a,b\n1,\n", {}, r"row 2 .* has nothing in column 'b'"),
        ("a,b\n1,2\n1,inf\n", {}, r"row 3 .* has 'inf' in column 'b', which is no finite number"),
        ("a,b\n1,NaN\n", {}, r"row 2 .* has 'NaN' in column 'b'"),
        ('a,b\n1,"1,234"\n2,"5,678"\n', {}, "without separators of thousands"),
        ("a,b,a\n1,2,3\n", {}, "has 2 columns 'a'; rename all but one"),
        (",a\n1,2\n", {}, "column 1 of .* has no name; name it, or name the columns"),
        ("date,a\n2024-01-02,2\n", {}, "'2024-01-02' in column 'date'.* name the columns to read"),
        ("a,b\n", {}, "has a header, but no row"),
        ("1,2\n3,4\n5,6\n", {}, "the first row of .* is of numbers; write the names"),
        ("a,b\n1,2\n", {"columns": "c"}, "data.columns: .* has no column 'c'; it has 'a', 'b'"),
        ("a,b\n1,2\n", {"columns": "a,a"}, "data.columns names a column twice"),
        ("a,b\n1,2\n", {"targets": "c"}, "data.targets: .* has no column 'c'"),
        ("a,b\n1,2\n", {"series": "c"}, "data.series: .* has no column 'c'"),
        ("a,b\n1,2\n,2\n", {"series": "a"}, "data.series: row 3 of .* has nothing in column 'a'"),
        ("a,b\n1,2,3\n", {}, "rows with more fields than its header has columns"),
        ("", {}, "is empty"),
    ],
)
def test_tables_that_are_nearly_right_are_refused(tmp_path, text, fields, says):
    with pytest.raises(UserError, match=says) as refused:
        of("forecasting", write(tmp_path / "t.csv", text), **fields)
    assert "\n" not in str(refused.value)


ROWS = [[0.5, -1.25], [1.0, 2e30], [3.5, 4.0]]


TABLES = {
    "a.csv": b"a,b\n0.5,-1.25\n1,2e30\n3.5,4\n",
    "quoted.csv": b'"a","b"\n"0.5","-1.25"\n"1","2e30"\n"3.5","4"\n',
    "spaced.csv": b"a , b\n0.5 , -1.25\n1 , 2e30\n\n3.5 , 4\n",
    "mark.csv": b"\xef\xbb\xbfa,b\r\n0.5,-1.25\r\n1,2e30\r\n3.5,4\r\n",
    "german.csv": b"a;b\n0,5;-1,25\n1;2e30\n3,5;4\n",
    "a.tsv": b"a\tb\n0.5\t-1.25\n1\t2e30\n3.5\t4\n",
    "a.txt": b"a|b\n0.5|-1.25\n1|2e30\n3.5|4\n",
    "a.csv.gz": gzip.compress(b"a,b\n0.5,-1.25\n1,2e30\n3.5,4\n"),
    "utf16.csv": "a,b\n0.5,-1.25\n1,2e30\n3.5,4\n".encode("utf-16"),
}


def test_tables_as_people_have_them(tmp_path, subtests):
    for name, content in TABLES.items():
        (tmp_path / name).write_bytes(content)
        with subtests.test(name):
            read = of("forecasting", tmp_path / name, columns="b, a")
            assert read.x[0].tolist() == [row[::-1] for row in ROWS]
    (tmp_path / "comma.csv").write_bytes(b'"a,x",b\n1,2\n3,4\n')
    for columns in ({"columns": '"a,x"'}, {}):
        read = of("forecasting", tmp_path / "comma.csv", **columns)
        assert inputs_of_table(DataConfig(), read.names, tmp_path / "comma.csv")[0].tolist() == read.x.tolist()


def test_a_table_needs_targets_that_fit_the_task(tmp_path):
    path = write(tmp_path / "t.csv", TABLE)
    with pytest.raises(UserError, match=r"data.targets names no column of .*, but the task tagging needs"):
        of("tagging", path)
    with pytest.raises(UserError, match=r"series 'u' of .* has more than one value in 'kind'"):
        of("classification", path, series="who", columns="a", targets="kind")
    config = Config(task=LABELS, data=DataConfig(path=str(path), columns="a", targets="b"))
    with pytest.raises(
        UserError, match=r"row 2 of .* has 10 in column 'b'; with the loss bernoulli each label is 0 or 1"
    ):
        read_series(config)
    with pytest.raises(UserError, match="has a series of 2 step"):
        shifted(of("forecasting", path, series="who", columns="a"), 2)
