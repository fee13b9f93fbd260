"""Text towers of local folders: learned tokens reach the text, nothing else changes."""

import pytest
import torch
from brain_tumor.concepts import encoders
from brain_tumor.concepts.encoders import (
    ClipFolder,
    SentenceTower,
    default_text_tower,
)
from brain_tumor.errors import InputError, ModelError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "bright", "ring", "dark", "lump"]


def write_tokenizer(folder, single="[CLS] $A [SEP]", **more):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single=single, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        eos_token="[SEP]",
        **(more or {"cls_token": "[CLS]", "sep_token": "[SEP]"}),
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory):
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    from transformers import CLIPConfig, CLIPModel

    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={
            "vocab_size": len(WORDS),
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": 16,
            "eos_token_id": 3,
            "bos_token_id": 2,
            "pad_token_id": 0,
        },
        vision_config={
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "image_size": 16,
            "patch_size": 8,
        },
        projection_dim=12,
    )
    CLIPModel(config).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def siglip_folder(tmp_path_factory):
    """Texts have no start token, and the feature is the state of the last position."""
    from transformers import SiglipConfig, SiglipModel

    folder = tmp_path_factory.mktemp("siglip")
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    words = {"vocab_size": len(WORDS), "max_position_embeddings": 12, "projection_size": 10}
    tokens = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    config = SiglipConfig(
        text_config={**sizes, **words, **tokens},
        vision_config={**sizes, "image_size": 16, "patch_size": 8},
    )
    SiglipModel(config).save_pretrained(folder)
    write_tokenizer(folder, "$A [SEP]", model_max_length=12)
    return folder


@pytest.mark.parametrize("learned", [0, 4])
def test_a_phrase_of_siglip_does_not_depend_on_its_batch(siglip_folder, learned):
    tower = ClipFolder(siglip_folder)
    context = torch.full((learned, tower.token_width), 0.5) if learned else None
    alone = tower.encode(["bright"], context)[0]
    assert alone.shape == (10,) == (tower.feature_width,)
    together = tower.encode(["bright", "dark lump ring", "ring " * 7], context)[0]
    torch.testing.assert_close(together, alone)


def test_siglip_reads_its_learned_tokens_first_and_keeps_every_word(siglip_folder):
    tower = ClipFolder(siglip_folder)
    seen = []
    handle = tower._model.text_model.embeddings.register_forward_hook(
        lambda _module, _inputs, found: seen.append(found)
    )
    learned = tower._words.weight[[5, 4]].detach()  # as if "ring bright" stood before the words
    tower.encode(["dark lump"], learned)
    tower.encode(["ring bright dark lump"])
    handle.remove()
    torch.testing.assert_close(seen[0], seen[1])
    assert seen[0].shape[1] == 12
    with pytest.raises(InputError, match="expected at most 12"):
        tower.encode(["ring " * 8], torch.zeros(4, tower.token_width))


@pytest.mark.parametrize(("kind", "width"), [(SentenceTower, 16), (ClipFolder, 12)])
def test_a_folder_becomes_a_text_tower_whose_context_learns(kind, width, bert_folder, clip_folder):
    tower = kind(bert_folder if kind is SentenceTower else clip_folder)
    texts = ["bright ring", "dark lump ring"]
    plain = tower.encode(texts)
    assert plain.shape == (2, width) == (2, tower.feature_width)
    context = torch.full((4, tower.token_width), 0.5, requires_grad=True)
    prompted = tower.encode(texts, context)
    assert (prompted - plain).abs().max().item() > 1e-4
    prompted.sum().backward()
    assert context.grad.abs().max().item() > 0
    torch.testing.assert_close(tower.encode(texts), plain)  # nothing stays behind


@pytest.mark.parametrize("kind", [SentenceTower, ClipFolder])
def test_padding_does_not_change_a_text(kind, bert_folder, clip_folder):
    tower = kind(bert_folder if kind is SentenceTower else clip_folder)
    alone = tower.encode(["bright"])[0]
    torch.testing.assert_close(tower.encode(["bright", "dark lump ring"])[0], alone)


def test_a_dual_encoder_sees_pictures_in_the_same_space(clip_folder):
    found = ClipFolder(clip_folder).encode_images(torch.zeros(2, 3, 16, 16))
    assert found.shape == (2, 12)


def test_wrong_contexts_texts_and_folders_are_refused(bert_folder, clip_folder, tmp_path):
    for tower in (SentenceTower(bert_folder), ClipFolder(clip_folder)):
        with pytest.raises(InputError, match=r"expected \(tokens, 16\)"):
            tower.encode(["ring"], torch.zeros(4, 3))
        with pytest.raises(InputError, match="no texts"):
            tower.encode([])
    with pytest.raises(InputError, match="expected at most 16"):
        ClipFolder(clip_folder).encode(["ring " * 20])
    with pytest.raises(ModelError, match="cannot be read"):
        SentenceTower(tmp_path)
    with pytest.raises(ModelError, match="no dual encoder"):
        ClipFolder(bert_folder)


def test_without_the_package_the_remedy_names_the_extra(monkeypatch):
    monkeypatch.setattr(encoders, "TEXT_PACKAGES", ("no_such_package_here",))
    with pytest.raises(ModelError, match="not installed") as caught:
        default_text_tower()
    assert "tumorlens[text]" in caught.value.remedy


def test_the_installed_text_tower_knows_that_related_phrases_are_near():
    try:
        tower = default_text_tower()
    except ModelError:
        pytest.skip("the text tower is not installed (extra text)")
    near = torch.nn.functional.normalize(
        tower.encode(["a bright ring", "a shining circle", "a sad song"]), dim=1
    )
    assert (near[0] @ near[1]).item() > (near[0] @ near[2]).item() + 0.1
