import pytest
import torch

from affinage.errors import RecipeError
from affinage.training.averaging import WeightAverage
from affinage.training.stopping import Scores


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))


def test_it_is_the_moving_average_of_its_definition():
    module = model()
    average = WeightAverage(module, decay=0.7)
    expected = module[0].weight.detach().double().clone()
    for step in range(1, 20):
        with torch.no_grad():
            module[0].weight.add_(torch.randn(2, 3))
        average.follow(module, step)
        decay = min(0.7, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * module[0].weight.detach().double()
    assert torch.allclose(average.tensors["0.weight"].double(), expected, atol=1e-6)


def test_what_does_not_move_stays_bit_for_bit():
    module = model()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    average = WeightAverage(module, decay=0.999)
    for step in range(1, 500):
        average.follow(module, step)
    assert all(torch.equal(average.tensors[name], tensor) for name, tensor in before.items())


def test_the_model_gets_its_own_weights_back():
    module = model()
    average = WeightAverage(module, decay=0.9)
    with torch.no_grad():
        module[0].weight.add_(1)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with average.inside(module):
        assert torch.equal(module[0].weight, average.tensors["0.weight"])
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in before.items())


def test_the_average_is_what_is_judged_and_kept(small, tmp_path):
    judged = []

    def evaluate(module):
        judged.append({name: tensor.clone() for name, tensor in module.state_dict().items()})
        return Scores(judged=float(-len(judged)))

    recipe = small.recipe("finetune.ema=0.9", "optimizer.lr=0.01")
    averaged, ended = small.train(recipe, tmp_path / "a", evaluate=evaluate)
    last, _ = small.train(small.recipe("optimizer.lr=0.01"), tmp_path / "b")
    assert ended.best_step == ended.steps
    for name, tensor in averaged.state_dict().items():
        assert torch.equal(tensor, judged[-1][name])
    assert not torch.equal(averaged.head.weight, last.head.weight)
    start = small.model(recipe).state_dict()["head.weight"]
    assert (averaged.head.weight - start).norm() < (last.head.weight - start).norm()


@pytest.mark.parametrize("decay", ["1", "-0.1"])
def test_a_decay_outside_its_range_is_refused(decay, small):
    with pytest.raises(RecipeError, match="ema"):
        small.recipe(f"finetune.ema={decay}")
