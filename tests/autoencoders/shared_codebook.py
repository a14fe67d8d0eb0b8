"""One training of a VQ-VAE that can be shared out, run as a program: `shared_codebook.py FILE` alone or under torchrun."""

import sys
from pathlib import Path

import torch
import torch.distributed

from course_utils.autoencoders import VQVAE, VQVAEConfig, recipes
from course_utils.data import Scenes, loader
from course_utils.training import fit


def main(file: Path) -> None:
    torch.manual_seed(0)
    # 16 channels in 8 groups: with one channel a group, the bias before a norm has no gradient but rounding, which Adam blows up
    model = VQVAE(VQVAEConfig(widths=(16, 16), num_codes=16, code_dim=4, decay=0.9, restart_below=0.0))
    data = Scenes("train", length=64, fields=("image",))
    player = recipes.vqvae_player(model, data[range(16)]["image"])
    fit(player, loader(data, 16), 10, precision="float32", progress=False)
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    # restarts are drawn from the vectors of the first process, and are the same in all
    model.quantizer.restart_below = 1e9
    features = model.encode(data[range(rank * 8, rank * 8 + 8)]["image"])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.update(features, model.quantize(features).indices)
    torch.save({"weights": before, "restarted": model.quantizer.codebook}, f"{file}.{rank}")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
