"""Losses of half a batch on each of two processes, run as a program under torchrun: `two_processes.py FILE`; the first writes FILE."""

import sys

import torch
import torch.distributed as dist

from course_utils.clip import losses

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
network, pairs = torch.nn.Linear(5, 3), torch.randn(2, 8, 5)
results = {}
for name in ("info_nce", "chunked", "siglip"):
    network.zero_grad()
    scale, bias = (torch.tensor(value, requires_grad=True) for value in (3.0, -2.0))
    images, texts = torch.nn.functional.normalize(network(pairs[:, 4 * rank : 4 * rank + 4]), dim=2)
    if name == "siglip":
        loss = losses.siglip_loss(images, texts, scale, bias)
    else:
        loss = losses.info_nce(images, texts, scale, 3 if name == "chunked" else 0)
    loss.backward()
    results[name] = [loss.detach(), network.weight.grad.clone(), scale.grad]
    for value in results[name]:  # what DDP does
        dist.all_reduce(value)
        value /= 2
if rank == 0:
    torch.save(results, sys.argv[1])
dist.destroy_process_group()
