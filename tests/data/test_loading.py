import pytest
import torch
from torch.utils.data import Dataset, Subset, TensorDataset

from course_utils.data import Digits, loader
from course_utils.data.hashing import hashed, hashed_integers
from course_utils.data.loading import EpochSampler


class Numbers(Dataset):
    """Counts the batches that are asked for; each example is its own index."""

    def __init__(self, length: int):
        self.length = length
        self.calls: list[int] = []

    def __len__(self) -> int:
        return self.length

    def __getitems__(self, indices: list[int]) -> dict:
        self.calls.append(len(indices))
        return {"image": torch.tensor(indices), "caption": [str(index) for index in indices]}


def order(batches) -> list[int]:
    return [number for batch in batches for number in batch["image"].tolist()]


def test_whole_batches_are_asked_for_and_handed_on_unchanged():
    numbers = Numbers(10)
    batches = list(loader(numbers, 4))
    assert numbers.calls == [4, 4]
    assert batches[0]["caption"] == [str(index) for index in batches[0]["image"].tolist()]


def test_each_epoch_is_a_permutation_of_its_own_and_a_function_of_seed_and_epoch():
    batches = loader(Numbers(100), 8, drop_last=False)
    first, second = order(batches), order(batches)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert order(loader(Numbers(100), 8, drop_last=False)) == first
    assert order(loader(Numbers(100), 8, drop_last=False, seed=1)) != first
    batches.sampler.set_epoch(1)
    assert order(batches) == second
    # a pass that is broken off begins anew
    batches.sampler.set_epoch(0)
    next(iter(batches))
    assert order(batches) == first


def test_the_order_of_an_epoch_never_changes():
    # written down once: the same on every machine and in every version
    assert list(EpochSampler(8, seed=3)) == [6, 4, 5, 3, 0, 7, 2, 1]


def test_without_shuffling_the_order_is_that_of_the_indices():
    assert order(loader(Numbers(9), 2, shuffle=False)) == list(range(8))
    assert order(loader(Numbers(9), 2, shuffle=False, drop_last=False)) == list(range(9))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers):
    parallel = loader(Numbers(30), 4, num_workers=workers)
    plain = loader(Numbers(30), 4)
    for _ in range(2):
        assert order(parallel) == order(plain)


def test_the_global_random_state_is_left_alone():
    state = torch.get_rng_state()
    list(loader(Numbers(16), 4))
    assert torch.equal(torch.get_rng_state(), state)


def test_data_sets_without_whole_batches_are_collated():
    images, labels = next(iter(loader(TensorDataset(torch.arange(6.0), torch.arange(6)), 3, shuffle=False)))
    assert images.tolist() == [0, 1, 2]
    assert labels.dtype == torch.int64


def test_a_subset_of_a_world_is_a_data_set():
    batch = next(iter(loader(Subset(Digits("test"), range(10)), 4)))
    assert batch["image"].shape == (4, 1, 32, 32)


def test_an_epoch_without_a_batch_is_refused():
    with pytest.raises(ValueError, match="batch of 8 from a data set of 7"):
        loader(Numbers(7), 8)
    assert len(loader(Numbers(7), 8, drop_last=False)) == 1


def accelerated(process: int, processes: int, epoch: int, skip: int = 0) -> list[list[int]]:
    """The batches that Accelerate gives to one of several processes."""
    from accelerate.data_loader import prepare_data_loader, skip_first_batches

    prepared = prepare_data_loader(
        loader(Numbers(40), 4), num_processes=processes, process_index=process, put_on_device=False
    )
    prepared.set_epoch(epoch)
    return [batch["image"].tolist() for batch in skip_first_batches(prepared, skip)]


@pytest.mark.parametrize("epoch", [0, 3])
def test_accelerate_splits_an_epoch_without_overlap_and_resumes_within_it(epoch):
    whole = loader(Numbers(40), 4)
    whole.sampler.set_epoch(epoch)
    batches = [batch["image"].tolist() for batch in whole]
    assert accelerated(0, 1, epoch) == batches
    assert accelerated(0, 2, epoch) == batches[0::2]
    assert accelerated(1, 2, epoch) == batches[1::2]
    assert accelerated(0, 1, epoch, skip=3) == batches[3:]
    assert accelerated(1, 2, epoch, skip=2) == batches[5::2]


def test_accelerate_moves_on_to_the_next_epoch():
    from accelerate.data_loader import prepare_data_loader

    prepared = prepare_data_loader(loader(Numbers(40), 4), put_on_device=False)
    plain = loader(Numbers(40), 4)
    assert [order(prepared) for _ in range(3)] == [order(plain) for _ in range(3)]


def test_hashing_is_uniform_and_depends_on_every_key():
    numbers = hashed_integers(10, 0, "test", torch.arange(20_000))
    counts = numbers.bincount(minlength=10)
    assert numbers.min() == 0
    assert len(counts) == 10
    assert (counts - 2000).abs().max() < 200
    drawn = [
        hashed(*keys).item() for keys in [(0, "a", 1), (1, "a", 0), (0, "b", 1), (0, "a", 2), ("a", 0, 1), (0, "a")]
    ]
    assert len(set(drawn)) == len(drawn)
    assert len(hashed(torch.arange(100_000)).unique()) == 100_000


def test_hashing_gives_the_numbers_of_splitmix64():
    # the first outputs of Java's SplittableRandom(0), from Steele et al. 2014: mix(seed + golden ratio)
    assert hashed(0).item() == 0xE220A8397B1DCDAF - 2**64


def test_hashed_integers_refuse_an_empty_range():
    with pytest.raises(ValueError, match="high is 0"):
        hashed_integers(0, 1)
