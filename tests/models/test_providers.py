import pytest

from compiler_nb.models.providers import is_same_model


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
        ("gpt-4", "gpt-4-0613"),
        ("gemini-1.5-pro", "gemini-1.5-pro-001"),
        ("gpt-4o", "openai/gpt-4o-2024-08-06"),
        ("openai/gpt-4o", "gpt-4o"),
        ("org/Model-8B", "model-8b"),
        ("a/b:free", "a/b"),
        ("llama3.2", "llama3.2:latest"),
        ("/models/llama", "llama"),
        ("tiny", "tiny@main"),
        ("org/tiny@main", "tiny"),
        ("tiny", "org/tiny@refs/pr/1"),
        ("@cf/meta/llama-3", "@cf/meta/llama-3"),
        ("claude-5", "claude-5@20261120"),
    ],
)
def test_a_version_or_a_maker_makes_no_other_model(asked, answered):
    """Providers answer with the version that stands behind a name, with or without whose it is."""
    assert is_same_model(asked, answered)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o-mini", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-05-13"),
        ("gpt-4o", "gpt-4o-mini-2024-07-18"),
        ("llama3.2", "llama3.2:1b"),
        ("openrouter/auto", "meta/llama-3"),
        ("gpt-5", "claude-5"),
        ("tiny@main", "tiny@other"),
        ("tiny", "large@main"),
    ],
)
def test_another_size_or_version_is_another_model(asked, answered):
    """Then the user is told."""
    assert not is_same_model(asked, answered)
