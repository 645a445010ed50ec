from desk.studio.wording import sentence


def test_sentences_begin_with_a_capital_and_end_with_a_stop():
    assert sentence("shot 1:  is\nempty") == "Shot 1: is empty."
    assert sentence("Why?") == "Why?"
