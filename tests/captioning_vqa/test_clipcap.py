"""ClipCap: the authors' layout, the language model of transformers behind a prefix, the mapper against torch's own transformer."""

import pytest
import torch
import torch.nn.functional as F
import transformers
from torch._subclasses.fake_tensor import FakeTensorMode

from course_utils import runtime
from course_utils.captioning_vqa import ClipCap, Mapper, MapperConfig
from course_utils.hub import WeightsError
from course_utils.language import GPT2, GPT2Config
from course_utils.layers import draw_normal

from .conftest import close, ids, lively, real

WIDTH, PREFIX, CLIP, DIM = 64, 4, 3, 10


class Authors(torch.nn.Module):
    """Their names and sums, in torch's own parts: a pre-norm transformer without biases of queries, keys and values."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind
        self.gpt = transformers.GPT2LMHeadModel(
            transformers.GPT2Config(vocab_size=99, n_positions=32, n_embd=WIDTH, n_layer=2, n_head=1)
        )
        if kind == "mlp":
            whole = WIDTH * PREFIX
            self.clip_project = torch.nn.Sequential(
                torch.nn.Linear(DIM, whole // 2), torch.nn.Tanh(), torch.nn.Linear(whole // 2, whole)
            )
            return
        layer = torch.nn.TransformerEncoderLayer(WIDTH, 8, 2 * WIDTH, 0.0, "relu", batch_first=True, norm_first=True)
        self.encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.linear = torch.nn.Linear(DIM, CLIP * WIDTH)
        self.prefix_const = torch.nn.Parameter(torch.randn(PREFIX, WIDTH))

    def prefix(self, features: torch.Tensor) -> torch.Tensor:
        if self.kind == "mlp":
            return self.clip_project(features).view(-1, PREFIX, WIDTH)
        picture = self.linear(features).view(-1, CLIP, WIDTH)
        return self.encoder(torch.cat([picture, self.prefix_const.expand(len(features), -1, -1)], dim=1))[:, CLIP:]

    def file(self) -> dict[str, torch.Tensor]:
        """As their `torch.save(model.state_dict())`."""
        weights = {f"gpt.{name}": tensor for name, tensor in self.gpt.state_dict().items()}
        if self.kind == "mlp":
            return weights | {
                f"clip_project.model.{name}": tensor for name, tensor in self.clip_project.state_dict().items()
            }
        weights |= {f"clip_project.linear.{name}": tensor for name, tensor in self.linear.state_dict().items()}
        weights["clip_project.prefix_const"] = self.prefix_const.detach()
        for number, layer in enumerate(self.encoder.layers):
            attention, start = layer.self_attn, f"clip_project.transformer.layers.{number}."
            assert not attention.in_proj_bias.any()
            weights |= {
                f"{start}attn.to_queries.weight": attention.in_proj_weight[:WIDTH].detach().clone(),
                f"{start}attn.to_keys_values.weight": attention.in_proj_weight[WIDTH:].detach().clone(),
                f"{start}attn.project.weight": attention.out_proj.weight.detach(),
                f"{start}attn.project.bias": attention.out_proj.bias.detach(),
            }
            for theirs, ours in (
                ("norm1", "norm1"),
                ("norm2", "norm2"),
                ("linear1", "mlp.fc1"),
                ("linear2", "mlp.fc2"),
            ):
                for name, tensor in getattr(layer, theirs).state_dict().items():
                    weights[f"{start}{ours}.{name}"] = tensor
        return weights


def features(batch: int = 3) -> torch.Tensor:
    return draw_normal((batch, DIM), runtime.generator(3))


@pytest.fixture(params=["mlp", "transformer"])
def pair(request, tmp_path) -> tuple[Authors, ClipCap]:
    torch.manual_seed(0)
    peer = lively(Authors(request.param)).eval()
    torch.save(peer.file(), tmp_path / "authors.pt")
    return peer, ClipCap.from_authors(tmp_path / "authors.pt")


def test_prefix_logits_and_loss_are_those_of_the_authors(pair):
    peer, model = pair
    prefix = peer.prefix(features())
    close(model.mapper(features()), prefix)
    text, mask = ids(3, 6), real(6, 4, 2, total=6)
    embedded = torch.cat([prefix, peer.gpt.transformer.wte(text)], dim=1)
    theirs = peer.gpt(inputs_embeds=embedded, attention_mask=F.pad(mask, (PREFIX, 0), value=True).long()).logits[
        :, PREFIX - 1 : -1
    ]
    close(model(features(), text, mask)[mask], theirs[mask])
    close(model(features(), text), peer.gpt(inputs_embeds=embedded).logits[:, PREFIX - 1 : -1])
    loss = model.loss(features(), text, mask)
    close(loss, F.cross_entropy(theirs[mask], text[mask]))
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.mapper.parameters())
    assert all(parameter.grad is None for parameter in model.language_model.parameters())


@pytest.mark.parametrize("beams", [1, 3])
def test_captions_are_those_of_transformers(pair, beams):
    peer, model = pair
    prefix = peer.prefix(features()).detach()
    end = int(model.generate(features(), 8)[0, 4])
    theirs = peer.gpt.generate(
        inputs_embeds=prefix, attention_mask=torch.ones(3, PREFIX).long(), num_beams=beams, max_new_tokens=8,
        do_sample=False, eos_token_id=end, pad_token_id=1,
    )  # fmt: skip
    assert model.generate(features(), 8, num_beams=beams, end_token_id=end, pad_token_id=1).tolist() == theirs.tolist()


def test_draws_from_the_nucleus_are_a_function_of_the_generator(pair):
    _, model = pair
    first, again, other = (
        model.generate(features(), 8, runtime.generator(seed), temperature=2.0, top_p=0.9) for seed in (1, 1, 2)
    )
    assert first.equal(again)
    assert not first.equal(other)


def build(frozen: bool = True) -> ClipCap:
    return ClipCap(
        Mapper(MapperConfig("transformer", DIM, 16, PREFIX, CLIP, 1, 2)), GPT2(GPT2Config(99, 32, 16, 1, 2)), frozen
    )


def test_it_compiles_in_one_graph_and_is_ready_for_a_gpu():
    torch.manual_seed(0)
    model, inputs = build(), (features(), ids(3, 5), real(5, 4, 2, total=5))
    torch.compiler.reset()
    for method in (model.forward, model.loss):
        assert torch.compile(method, fullgraph=True, backend="eager")(*inputs).equal(method(*inputs))
    with FakeTensorMode():
        with torch.device("cuda"):
            model, fake = build(), [torch.empty(part.shape, dtype=part.dtype) for part in inputs]
        assert str(model.loss(*fake).device) == "cuda:0"


def test_tuned_too_the_language_model_learns():
    model = build(frozen=False)
    model.loss(features(), ids(3, 5)).backward()
    assert model.language_model.tokens.weight.grad is not None


def test_the_published_sizes():
    with torch.device("meta"):
        mlp, transformer = (Mapper(MapperConfig(kind)) for kind in ("mlp", "transformer"))
    assert sum(parameter.numel() for parameter in mlp.parameters()) == 512 * 3840 + 3840 + 3840 * 7680 + 7680
    layer = 3 * 768**2 + 768**2 + 768 + 2 * (768 * 1536) + 1536 + 768 + 4 * 768
    assert sum(parameter.numel() for parameter in transformer.parameters()) == 512 * 7680 + 7680 + 7680 + 8 * layer


def test_errors_name_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="kind is 'linear'"):
        Mapper(MapperConfig("linear"))
    with pytest.raises(ValueError, match="of width 16, but the mapper's config says width=8"):
        ClipCap(Mapper(MapperConfig("mlp", DIM, 8)), GPT2(GPT2Config(99, 32, 16, 1, 2)))
    with pytest.raises(ValueError, match=r"\(batch, 10\), got \(2, 9\)"):
        build().mapper(torch.zeros(2, 9))
    torch.save({"linear.weight": torch.zeros(2, 2)}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"got linear\.weight"):
        ClipCap.from_authors(tmp_path / "other.pt")
