"""Templates as AWS renders them: idioms people use, Velocity's manners, and nothing of Python."""

import json
from typing import Any

import pytest

from socketstack.mapping import java
from socketstack.mapping.scopes import input_scope, util_scope
from socketstack.mapping.velocity import FOREACH_MAX_ITERATIONS, TemplateError, render


def rendered(template: str, body: object = "", **variables: Any) -> str:
    """A template over a body and further variables."""
    text = body if isinstance(body, str) else json.dumps(body)
    given = {name: java.from_json(value) for name, value in variables.items()}
    return render(
        template, {"input": input_scope(text, {}), "util": util_scope(), "context": {}, **given}
    )


ITEMS = {"items": [{"id": 1, "n": "a"}, {"id": 2, "n": "b"}], "who": "zoë"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param("#set($inputRoot = $input.path('$'))$inputRoot.who", "zoë", id="input-root"),
        pytest.param(
            "#set($r = $input.path('$'))[#foreach($e in $r.items)"
            '{"id":$e.id,"n":"$e.n"}#if($foreach.hasNext),#end#end]',
            '[{"id":1,"n":"a"},{"id":2,"n":"b"}]',
            id="list-with-commas",
        ),
        pytest.param("$input.path('$.items').size()", "2", id="size"),
        pytest.param("$input.path('$.items[1].n')", "b", id="index-in-path"),
        pytest.param("$input.path('$').items[0].n", "a", id="index-in-template"),
        pytest.param("$input.path('$.items').get(0).get('n')", "a", id="get"),
        pytest.param('"$input.path(\'$.none\')"', '""', id="missing-is-empty"),
        pytest.param("$input.json('$.items[0]')", '{"id":1,"n":"a"}', id="json-object"),
        pytest.param("$input.json('$.who')", '"zoë"', id="json-text"),
        pytest.param("$input.json('$.none')", '""', id="json-missing"),
        pytest.param("$input.path('$.items')", '[{"id":1,"n":"a"},{"id":2,"n":"b"}]', id="array"),
        pytest.param("$input.path('$.items[0]')", "{id=1, n=a}", id="object"),
        pytest.param(
            "#set($b = $input.path('$.items[0]'))#set($x = $b.put('c', 3))"
            "$input.json('$.items[0]')",
            '{"id":1,"n":"a","c":3}',
            id="put-shows",
        ),
        pytest.param(
            "#set($m = $input.path('$.items[0]'))#foreach($k in $m.keySet())$k=$m.get($k);#end",
            "id=1;n=a;",
            id="key-set",
        ),
        pytest.param(
            "#foreach($e in $input.path('$.items[0]').entrySet())$e.key:$e.value,#end",
            "id:1,n:a,",
            id="entry-set",
        ),
        pytest.param("#foreach($v in $input.path('$.items[0]'))$v,#end", "1,a,", id="map-values"),
        pytest.param("#foreach($e in $input.path('$.none'))x#{end}", "", id="nothing-to-loop"),
        pytest.param(
            "#if($input.path('$.none') == '')empty#{else}there#end", "empty", id="missing-is-equal"
        ),
        pytest.param("#if($input.path('$.who') != '')there#end", "there", id="present"),
        pytest.param("#set($t = $context.now / 1000 + 60)$t", "61", id="arithmetic"),
        pytest.param("${input.path('$.who')}s", "zoës", id="braces"),
        pytest.param("$!input.path('$.none')|$!{nothing}", "|", id="quiet"),
        pytest.param("a \\$input b", "a $input b", id="escaped-dollar"),
        pytest.param("## comment\nx#* more *#y", "xy", id="comments"),
        pytest.param("#ff0000 # $5 a@b", "#ff0000 # $5 a@b", id="plain-text"),
        pytest.param('#set($s = "hi $input.path(\'$.who\')")$s', "hi zoë", id="interpolation"),
        pytest.param("#set($s = 'hi $input')$s", "hi $input", id="literal"),
        pytest.param("#set($m = {'a': [1, 2], 'b': 'c'})$m", "{a=[1, 2], b=c}", id="map"),
        pytest.param("#foreach($i in [1..2])$foreach.index$foreach.count #end", "01 12 ", id="i"),
        pytest.param("#foreach($i in [1..9])#if($i == 4)#break#end$i#end", "123", id="break"),
        pytest.param("#macro(twice $x)$x$x#end#twice('ab')", "abab", id="macro"),
        pytest.param("#define($d)<$input.path('$.who')>#end$d$d", "<zoë><zoë>", id="define"),
        pytest.param(
            "$util.escapeJavaScript($input.json('$.items[0].n'))", '\\"a\\"', id="escape"
        ),
        pytest.param(
            "#set($Integer = 0)#set($n = $Integer.parseInt('41') + 1)$n", "42", id="parse-int"
        ),
    ],
)  # fmt: skip
def test_idiom_gives_what_aws_gives(template: str, expected: str) -> None:
    """What people write in mapping templates works as they know it. 5.50."""
    assert rendered(template, ITEMS, context={"now": 1500}) == expected


@pytest.mark.parametrize(
    ("condition", "is_true"),
    [
        pytest.param("$nothing", True, id="undefined"),
        pytest.param("!$nothing", False, id="not-undefined"),
        pytest.param("$empty", True, id="empty-text"),
        pytest.param("$zero", True, id="zero"),
        pytest.param("$no", False, id="false"),
        pytest.param("!$no", True, id="not-false"),
        pytest.param("$no || $yes", True, id="or"),
        pytest.param("$yes && $no", False, id="and"),
        pytest.param("$no && $empty.substring(9)", False, id="and-stops"),
        pytest.param("$yes || $empty.substring(9)", True, id="or-stops"),
        pytest.param("1 + 2 * 3 == 7", True, id="precedence"),
        pytest.param("(1 + 2) * 3 == 9", True, id="parentheses"),
        pytest.param("$zero == 0 && $text == 'a'", True, id="both"),
        pytest.param("'1' == 1", True, id="text-and-number"),
        pytest.param("$yes == 1", False, id="boolean-and-number"),
        pytest.param("$text > 1", False, id="not-comparable"),
        pytest.param("$nothing == ''", True, id="undefined-is-empty"),
        pytest.param("7 % 4 == 3 && -7 / 2 == -3", True, id="java-division"),
        pytest.param("2 >= 2 && 2 <= 2 && 1 < 2 && 2 > 1 && 1 != 2", True, id="comparisons"),
        pytest.param("2 ge 2 and 1 lt 2 or $no", True, id="words"),
    ],
)
def test_condition_holds_as_on_aws(condition: str, *, is_true: bool) -> None:
    """Only `false` is not true; a reference without a value is an empty text. 5.50."""
    values = {"empty": "", "zero": 0, "no": False, "yes": True, "text": "a"}

    got = rendered(f"#if({condition})yes#{{else}}no#end", **values)

    assert (got == "yes") is is_true


@pytest.mark.parametrize(
    "template",
    [
        "$text.__class__",
        "$text.__class__.__mro__",
        "$map.__init__.__globals__",
        "$list.__class__.__base__.__subclasses__()",
        "$input.__class__",
        "$input.methods",
        "$util.parseJson.__globals__",
        "$text.format('{0.__class__}')",
        "$text.upper()",
        "$list.append(1)",
        "$map.items()",
        "$map.popitem()",
    ],
)
def test_python_cannot_be_reached(template: str) -> None:
    """Neither attributes nor methods of Python exist in templates."""
    assert rendered(template, text="a", map={"k": 1}, list=[1]) == ""


def test_members_win_over_methods() -> None:
    """A member is a member, also with the name of a method or of something of Python's."""
    values = {"items": "i", "size": "s", "get": "g", "keys": "k", "__class__": "c"}

    got = rendered("$m.items $m.size $m.get $m.keys $m.get('__class__') $m.size()", m=values)

    assert got == "i s g k c 5"


def test_loop_ends_after_a_thousand_rounds() -> None:
    """A #foreach runs a thousand times and leaves out the rest. 5.53."""
    got = rendered("#foreach($i in $list)$i,#end", list=list(range(FOREACH_MAX_ITERATIONS + 5)))

    assert got.split(",")[-2:] == ["999", ""]


def test_nested_loops_know_their_parents() -> None:
    """$foreach is the innermost loop, $foreach.parent the one around it."""
    template = (
        "#foreach($a in [1..2])#foreach($b in ['x', 'y'])"
        "$foreach.parent.count$foreach.count$b#if($velocityHasNext)+#end#end;#end"
    )

    assert rendered(template) == "11x+12y;21x+22y;"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        pytest.param("#if($x", "cannot be read: line 1", id="syntax"),
        pytest.param("a #if(", "cannot be read: line 1, column 3", id="no-condition"),
        pytest.param("#if ( )x#end", "directive", id="empty-condition"),
        pytest.param("#foreach($i of $x)#end", "line 1", id="keyword"),
        pytest.param("#end", "line 1", id="end-without-begin"),
        pytest.param("#break", "outside of #foreach", id="break-outside"),
        pytest.param("#include('x')", "no loader", id="include"),
        pytest.param("#parse('x')", "no loader", id="parse"),
        pytest.param("$input.body.substring(5)", "begin 5", id="substring"),
        pytest.param("#set($n = 0)$n.parseInt('x1')", "not a whole number", id="parse-int"),
        pytest.param("$list.get(7)", "index 7", id="list-index"),
        pytest.param("$input.path('$.a[').b", "JSONPath", id="path"),
        pytest.param("$util.parseJson('{')", "not JSON", id="json"),
        pytest.param("$util.base64Decode('###')", "not base64", id="base64"),
        pytest.param("$input.path(1, 2, 3)", "failed", id="arguments"),
        pytest.param("#macro(f)#f()#end#f()", "too deeply", id="recursion"),
        pytest.param("#nosuch($x)", "no such macro", id="macro"),
        pytest.param("#set($nothing.a.b = 1)", "no members", id="set"),
    ],
)
def test_broken_template_says_what_is_wrong(template: str, why: str) -> None:
    """A template that fails is one error that names the place or the reason."""
    with pytest.raises(TemplateError, match=why):
        rendered(template, list=[1])


def test_deep_nesting_is_an_error_of_the_template() -> None:
    """A template nested beyond all reason is refused, and nothing else happens."""
    with pytest.raises(TemplateError):
        rendered("#if(" + "(" * 5000 + "1" + ")" * 5000 + ")x#end")


def test_rendering_twice_gives_the_same() -> None:
    """A compiled template is used again, and nothing of its first use remains."""
    template = "#set($x = \"$!x$input.body\")$x#set($input = 'gone')"

    assert [rendered(template, "a"), rendered(template, "b")] == ["a", "b"]
