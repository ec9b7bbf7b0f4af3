import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.feed.markup import plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>Soft &amp; <b>warm</b></p><ul><li>oak</li></ul>", "Soft & warm\noak"),
        ("&lt;p&gt;Tv&#228;tt&lt;/p&gt;", "Tvätt"),
        ("Table &amp;amp; Chair", "Table & Chair"),
        ("a<br>b<BR/>c<br />d", "a\nb\nc\nd"),
        ("<ul><li>oak<li>ash</ul>", "oak\nash"),
        ("<table><tr><td>Width</td><td>80 cm</td></tr><tr><td>Depth</td></tr></table>", "Width 80 cm\nDepth"),
        ("2 m<sup>2</sup> of <span style='color: red'>red</span>", "2 m2 of red"),
        ('<a href="https://a.example/?a=1&b=2" title="a > b">more</a>', "more"),
        ("<style>p { color: red }</style>Bed<script>if (1 < 2) { x() }</script><!-- <b>no</b> -->", "Bed"),
        ("<![CDATA[<p>Oak</p>]]>", "Oak"),
        ("&lt;![CDATA[Oak]]&gt;", "Oak"),
        ("<o:p></o:p>Word <custom-tag>here</custom-tag>", "Word here"),
        ("<p>Cut off in <a href='https://shop.exa", "Cut off in"),
        ("<strong>Cut off</strong> in <em>the middle", "Cut off in the middle"),
        ("5&nbsp;&euro; &#8211; &#x2F; &apos;x&apos; &#150;", "5\xa0€ – / 'x' –"),
        ("5 &amp;lt; 6", "5 < 6"),
        ("<p>Size <S> fits</p>", "Size <S> fits"),
        ("<p>5 < 6 &amp; 7 > 6</p>", "5 < 6 & 7 > 6"),
    ],
)
def test_markup_is_removed_and_entities_are_decoded(text, expected):
    assert plain(text) == expected


RESEMBLING = (
    *("5 < 6", "A & B", "I <3 chairs", "Size <L>", "Size <S>", "sizes <S>, <M> and <XL>", "a<b>c", "x < y > z", "<kg>"),
    *("AT&T and R&D; B&B", "<- left, right ->", "load <= 80 kg & height >= 2 m", "&unknown; & &;", ""),
    *("https://a.example/?a=1&copy=2&reg=3", "Line one\n\nLine two"),
)


@pytest.mark.parametrize("text", RESEMBLING)
def test_text_that_only_resembles_markup_is_kept(text):
    assert plain(text) == text


@given(st.text(alphabet="<>/&;#x1ab p\"'=!-[]\n", max_size=60))
def test_any_text_is_accepted(text):
    plain(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<div>" * 5000 + "deep", "deep"),
        ("Oak <!--" * 100_000, "Oak"),
        ("<![CDATA[" * 100_000 + "oak", "<![CDATA[" * 99_997 + "oak"),
        ("<style>" * 100_000 + "<p>oak</p>", "oak"),
        ("Oak <zzz " + "=" * 500_000 + "> <p>", "Oak <zzz " + "=" * 500_000 + ">"),
    ],
)
def test_a_long_cell_of_unclosed_markup_is_read_in_one_pass(text, expected):
    assert plain(text) == expected
