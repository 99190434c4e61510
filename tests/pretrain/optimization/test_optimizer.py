from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_run import VOCABULARY, changed, untimed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.devices.sharding import make_mesh, parameter_shardings, path_name, replicated, state_shardings
from pretrain.models.bert.family import rules as bert_rules
from pretrain.models.bert.model import HEADS, Bert
from pretrain.models.core.layers import put
from pretrain.models.parameter_rules import ParameterRule, Rules, rule_of
from pretrain.models.protocols import Compute
from pretrain.optimization.optimizer import OfEach, make_optimizer
from pretrain.recipe import Mesh, TrainingRecipe
from pretrain.train import train

OPTIMIZERS = ["adamw", "lamb", "adafactor", "muon"]
MASKED_LM = frozenset({"vocabulary"})
ALONE = (ParameterRule("kernel", "matrix"), ParameterRule("bias", "bias"))


def test_weight_decay_leaves_biases_and_layer_norm_alone(tiny: TrainingRecipe) -> None:
    model = Bert(tiny.model, VOCABULARY, HEADS, Compute())
    params = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), jax.eval_shape(model.init, jax.random.key(0)))
    settings = {"warmup_steps": 0, "learning_rate": 0.5, "weight_decay": 0.1}
    rules = bert_rules(tiny.model, HEADS)
    optimizer = make_optimizer(changed(tiny, optimizer=settings), rules)
    gradients = jax.tree.map(jnp.zeros_like, params)
    updates = jax.jit(lambda: optimizer.update(gradients, optimizer.init(params), params)[0])()
    for path, update in jax.tree.leaves_with_path(updates):
        name = path_name(path)
        decays = name.endswith(("kernel", "embedding"))
        np.testing.assert_allclose(update, -0.05 if decays else 0.0, err_msg=name, rtol=1e-6)
    assert sum(jax.tree.leaves(OfEach(rules).is_decayed(params))) == 12


def test_bfloat16_keeps_parameters_and_first_moment_but_computes_in_float32(tiny: TrainingRecipe) -> None:
    settings = {"warmup_steps": 0, "learning_rate": 0.5}
    wide = make_optimizer(changed(tiny, optimizer=settings), ALONE)
    narrow = make_optimizer(changed(tiny, optimizer={**settings, "moment_dtype": "bfloat16"}), ALONE)
    params = {"kernel": jnp.linspace(0.1, 1.0, 7)}
    kept = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    gradients = {"kernel": jnp.linspace(-1.0, 0.5, 7)}
    state = narrow.init(kept)
    adam = next(part for part in state if hasattr(part, "mu"))
    assert (adam.mu["kernel"].dtype, adam.nu["kernel"].dtype) == (jnp.bfloat16, jnp.float32)
    updates, state = narrow.update(gradients, state, kept)
    assert updates["kernel"].dtype == jnp.float32
    expected = wide.update(gradients, wide.init(params), params)[0]["kernel"]
    np.testing.assert_allclose(updates["kernel"], expected, rtol=2**-7)
    dtypes = [jax.tree.map(lambda leaf: leaf.dtype, each) for each in (state, narrow.init(kept))]
    assert dtypes[0] == dtypes[1]


def test_gradients_are_clipped_by_their_global_norm(tiny: TrainingRecipe) -> None:
    params = {"kernel": jnp.zeros(4)}
    gradients = {"kernel": jnp.full(4, 50.0)}
    settings = {"warmup_steps": 0, "beta1": 0.0, "weight_decay": 0.0, "epsilon": 1e6, "learning_rate": 1e6}
    steps = {}
    for clip_norm in (1.0, 0.0):
        optimizer = make_optimizer(changed(tiny, optimizer={**settings, "clip_norm": clip_norm}), ALONE)
        # With so large an epsilon Adam's step is the gradient itself.
        steps[clip_norm] = optimizer.update(gradients, optimizer.init(params), params)[0]["kernel"]
    np.testing.assert_allclose(steps[1.0], -0.5, rtol=1e-3)
    np.testing.assert_allclose(steps[0.0], -50.0, rtol=1e-3)


def parameters(tiny: TrainingRecipe) -> Any:
    model = Bert(tiny.model, VOCABULARY, MASKED_LM, Compute())
    return jax.jit(model.init)(jax.random.key(0))


def noise(params: Any, seed: int = 1) -> Any:
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    return structure.unflatten([jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)])


def updates_of(
    recipe: TrainingRecipe, params: Any, gradients: Any, rules: Rules | None = None
) -> dict[str, np.ndarray]:
    """The first update of each parameter; without rules the parameters are those of `parameters`."""
    optimizer = make_optimizer(recipe, rules or bert_rules(recipe.model, MASKED_LM))
    updates = jax.jit(lambda: optimizer.update(gradients, optimizer.init(params), params)[0])()
    return {path_name(path): np.asarray(update) for path, update in jax.tree.leaves_with_path(updates)}


def unstacked(tree: Any) -> Any:
    """Every layer's parameters as leaves of their own."""

    def split(path: Any, leaf: jax.Array) -> Any:
        return list(leaf) if "encoder/layer/" in path_name(path) else leaf

    return jax.tree.map_with_path(split, tree)


def decays_unstacked(tree: Any) -> Any:
    """What LAMB decays, told by name as Google's code does; lists of layers are leaves of one name."""

    def decays(path: Any, leaf: jax.Array) -> bool:
        return "kernel" in path_name(path) or path_name(path).endswith("embedding")

    return jax.tree.map_with_path(decays, tree)


def test_lamb_is_that_of_optax_layer_by_layer(tiny: TrainingRecipe) -> None:
    settings = {"name": "lamb", "warmup_steps": 0, "learning_rate": 0.1, "weight_decay": 0.02, "clip_norm": 0.0}
    params = parameters(tiny)
    found = updates_of(changed(tiny, optimizer=settings), params, noise(params))
    alone, gradients = unstacked(params), unstacked(noise(params))
    peer = optax.lamb(0.1, eps=tiny.optimizer.epsilon, weight_decay=0.02, mask=decays_unstacked)
    peers = jax.jit(lambda: peer.update(gradients, peer.init(alone), alone)[0])()
    compared = 0
    for path, update in jax.tree.leaves_with_path(peers):
        name = path_name(path)
        if name.split("/")[-1].isdigit() and "kernel" in name:
            layer = int(name.split("/")[-1])
            np.testing.assert_allclose(found[name.rpartition("/")[0]][layer], update, rtol=2e-4, atol=1e-7)
            compared += 1
    assert compared == 6 * tiny.model.num_hidden_layers
    # Not so where there is no decay: Adam's first step is the learning rate itself.
    np.testing.assert_allclose(np.abs(found["bert/embeddings/LayerNorm/bias"]), 0.1, rtol=1e-2)


def test_adafactor_is_that_of_optax_layer_by_layer(tiny: TrainingRecipe) -> None:
    settings = {"name": "adafactor", "warmup_steps": 0, "learning_rate": 0.1, "weight_decay": 0.0, "clip_norm": 0.0}
    params = parameters(tiny)
    found = updates_of(changed(tiny, optimizer=settings), params, noise(params))
    alone, gradients = unstacked(params), unstacked(noise(params))
    peer = optax.adafactor(0.1)
    peers = jax.jit(lambda: peer.update(gradients, peer.init(alone), alone)[0])()
    for path, update in jax.tree.leaves_with_path(peers):
        name, _, last = path_name(path).rpartition("/")
        ours = found[name][int(last)] if last.isdigit() else found[f"{name}/{last}"]
        np.testing.assert_allclose(ours, update, rtol=2e-4, atol=1e-8, err_msg=path_name(path))


def test_adafactor_keeps_two_vectors_of_a_large_matrix(tiny: TrainingRecipe) -> None:
    params = {"kernel": jnp.ones((256, 512)), "bias": jnp.ones(512)}
    state = make_optimizer(changed(tiny, optimizer={"name": "adafactor"}), ALONE).init(params)
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) < 256 + 512 + 512 + 10


def test_muon_makes_each_layers_update_orthogonal_and_adam_does_the_rest(tiny: TrainingRecipe) -> None:
    settings = {"name": "muon", "warmup_steps": 0, "learning_rate": 0.1, "weight_decay": 0.0, "clip_norm": 0.0}
    params = parameters(tiny)
    found = updates_of(changed(tiny, optimizer=settings), params, noise(params))
    for name, update in found.items():
        if name.endswith("kernel"):
            for matrix in update if "encoder/layer/" in name else [update]:
                singular = np.linalg.svd(matrix, compute_uv=False) / (0.1 * 0.2 * np.sqrt(max(matrix.shape)))
                # Newton-Schulz brings singular values near 1, not onto it (Jordan et al. 2024: 0.7 to 1.2), if they are not near 0.
                assert 0.6 < np.quantile(singular, 0.1) <= singular.max() < 1.3, name
        else:
            np.testing.assert_allclose(np.abs(update), 0.1, rtol=1e-2, err_msg=name)


def parameter_like(state: Any, params: Any) -> list[Any]:
    """The subtrees of an optimizer's state that have the structure of the parameters, with MaskedNode as a leaf."""
    structure = jax.tree.structure(params)

    def is_like(node: Any) -> bool:
        return jax.tree.structure(node, is_leaf=is_masked) == structure

    return [node for node in jax.tree.leaves(state, is_leaf=is_like) if is_like(node)]


def is_masked(node: Any) -> bool:
    return isinstance(node, optax.MaskedNode)


@pytest.mark.parametrize(("name", "trees"), [("adamw", 2), ("lamb", 2), ("adafactor", 3), ("muon", 3)])
def test_the_state_of_every_optimizer_lies_where_its_parameters_lie(
    name: str, trees: int, tiny: TrainingRecipe
) -> None:
    """By the state's structure, so whatever the parameters are called."""
    rules = bert_rules(tiny.model, MASKED_LM)
    optimizer = make_optimizer(changed(tiny, optimizer={"name": name}), rules)
    mesh = make_mesh(Mesh(data=2, fsdp=2, tensor=2))
    params = jax.eval_shape(lambda: parameters(tiny))
    optimizer_state = jax.eval_shape(optimizer.init, params)
    state = {"params": params, "optimizer": optimizer_state, "step": jax.ShapeDtypeStruct((), jnp.int32)}
    placed = state_shardings(state, optimizer, rules, mesh)
    of_params = parameter_shardings(params, rules, mesh)
    assert placed["params"] == of_params
    # Nothing is left out, nothing of Muon's that is Adam's gets a place.
    assert jax.tree.structure(placed["optimizer"]) == jax.tree.structure(optimizer_state)

    found = list(zip(parameter_like(optimizer_state, params), parameter_like(placed["optimizer"], params), strict=True))
    assert len(found) == trees
    split: list[str] = []
    masked: list[str] = []

    def check(path: Any, leaf: Any, place: Any, param: Any, of_param: Any) -> None:
        if is_masked(leaf):
            masked.append(path_name(path))
            assert is_masked(place)
        elif leaf.shape == param.shape:
            assert place == of_param, path_name(path)
            split.extend([path_name(path)] * bool(place.spec))
        else:
            assert place == replicated(mesh), path_name(path)

    for leaves, places in found:
        jax.tree.map_with_path(check, leaves, places, params, of_params, is_leaf=is_masked)
    assert len(split) > 8
    # Momentum is Muon's where the rule says matrix, and both moments are Adam's elsewhere.
    names = [path_name(path) for path, _ in jax.tree.leaves_with_path(params)]
    matrices = [path for path in names if rule_of(path, rules).kind == "matrix"]
    others = [path for path in names if path not in matrices]
    assert sorted(masked) == (sorted(2 * matrices + others) if name == "muon" else [])
    assert all(
        place == replicated(mesh)
        for leaf, place in zip(jax.tree.leaves(optimizer_state), jax.tree.leaves(placed["optimizer"]), strict=True)
        if leaf.shape == ()
    )


GPT2 = (
    ParameterRule("transformer/h/ln_1/(scale|bias)", "norm", stacked=1),
    ParameterRule("transformer/h/attn/c_attn/kernel", "matrix", stacked=1),
    ParameterRule("transformer/h/attn/c_attn/bias", "bias", stacked=1),
    ParameterRule("transformer/wte", "table"),
    ParameterRule("transformer/h/kernel_scale", "vector", stacked=1),
)
"""A table whose paths would tell a rule by name nothing, or the wrong thing."""


def of_another_family() -> Any:
    """Parameters of three layers, whose sizes differ a hundredfold from layer to layer."""
    sizes = {
        "transformer/h/ln_1/scale": (3, 4),
        "transformer/h/ln_1/bias": (3, 4),
        "transformer/h/attn/c_attn/kernel": (3, 4, 8),
        "transformer/h/attn/c_attn/bias": (3, 8),
        "transformer/wte": (16, 4),
        "transformer/h/kernel_scale": (3, 4, 4),
    }
    random, params = np.random.default_rng(0), {}
    for path, shape in sizes.items():
        array = random.uniform(0.5, 1.0, shape).astype(np.float32)
        if "/h/" in path:
            array *= np.array([0.01, 1.0, 100.0], np.float32).reshape(3, *[1] * (array.ndim - 1))
        put(params, path, array)
    return jax.tree.map(jnp.asarray, params)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_is_told_by_the_rule_and_not_by_the_name(name: str, tiny: TrainingRecipe) -> None:
    params = of_another_family()
    nothing = jax.tree.map(jnp.zeros_like, params)
    settings = {"name": name, "warmup_steps": 0, "learning_rate": 0.5, "weight_decay": 0.1}
    found = updates_of(changed(tiny, optimizer=settings), params, nothing, GPT2)
    decayed = {path for path, update in found.items() if update.any()}
    assert decayed == {"transformer/h/attn/c_attn/kernel", "transformer/wte"}
    if name != "lamb":
        wte = params["transformer"]["wte"]
        np.testing.assert_allclose(found["transformer/wte"], -0.05 * wte, rtol=1e-6)


def test_lamb_scales_each_layer_by_its_own_norm_where_the_rule_says_so(tiny: TrainingRecipe) -> None:
    params = of_another_family()
    settings = {"name": "lamb", "warmup_steps": 0, "learning_rate": 0.1, "weight_decay": 0.0, "clip_norm": 0.0}
    found = updates_of(changed(tiny, optimizer=settings), params, noise(params), GPT2)
    kernels = np.asarray(params["transformer"]["h"]["attn"]["c_attn"]["kernel"])
    for kernel, update in zip(kernels, found["transformer/h/attn/c_attn/kernel"], strict=True):
        assert np.linalg.norm(update) == pytest.approx(0.1 * np.linalg.norm(kernel), rel=1e-4)
    for path in ("ln_1/scale", "ln_1/bias", "attn/c_attn/bias", "kernel_scale"):
        # Adam's first step is the learning rate itself, whatever the size of the layer.
        np.testing.assert_allclose(np.abs(found[f"transformer/h/{path}"]), 0.1, rtol=1e-2, err_msg=path)


def test_adafactor_takes_the_size_of_each_layer(tiny: TrainingRecipe) -> None:
    params = of_another_family()
    settings = {"name": "adafactor", "warmup_steps": 0, "learning_rate": 0.1, "weight_decay": 0.0, "clip_norm": 0.0}
    found = updates_of(changed(tiny, optimizer=settings), params, noise(params), GPT2)
    for path in ("ln_1/scale", "attn/c_attn/kernel", "attn/c_attn/bias", "kernel_scale"):
        small, middle, large = (np.sqrt(np.mean(layer**2)) for layer in found[f"transformer/h/{path}"])
        assert (small / middle, large / middle) == (pytest.approx(0.01, rel=0.5), pytest.approx(100, rel=0.5)), path


def test_muon_takes_what_the_rule_calls_a_matrix_layer_by_layer(tiny: TrainingRecipe) -> None:
    params = of_another_family()
    settings = {"name": "muon", "warmup_steps": 0, "learning_rate": 0.1, "weight_decay": 0.0, "clip_norm": 0.0}
    found = updates_of(changed(tiny, optimizer=settings), params, noise(params), GPT2)
    for matrix in found.pop("transformer/h/attn/c_attn/kernel"):
        singular = np.linalg.svd(matrix, compute_uv=False) / (0.1 * 0.2 * np.sqrt(8))
        assert 0.6 < singular.min() <= singular.max() < 1.3
    for path, update in found.items():
        np.testing.assert_allclose(np.abs(update), 0.1, rtol=1e-2, err_msg=path)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_parameter_without_a_rule_is_named(name: str, tiny: TrainingRecipe) -> None:
    params = {"kernel": jnp.ones((2, 2)), "gain": jnp.ones(2)}
    with pytest.raises(InputError, match="gain: no ParameterRule matches"):
        updates_of(changed(tiny, optimizer={"name": name}), params, params, ALONE)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns_on_a_mesh_of_all_axes_and_resumes(
    name: str, tiny: TrainingRecipe, new_run: Callable[..., RunFolder], shared_programs: None
) -> None:
    rates = {"adamw": 1e-2, "lamb": 1e-1, "adafactor": 1e-1, "muon": 1e-2}
    recipe = changed(
        tiny,
        max_steps=20,
        optimizer={"name": name, "learning_rate": rates[name]},
        mesh={"data": 2, "fsdp": 2, "tensor": 2},
        checkpoints={"every_steps": 10},
        evaluation={"every_steps": 0},
    )
    run, stopped = new_run("whole"), new_run("stopped")
    train(run, "tiny", recipe)
    losses = [line["loss"] for line in untimed(run) if "loss" in line]
    assert losses[-1] < losses[0] - 0.1
    train(stopped, "tiny", changed(recipe, stop_at_step=10))
    train(stopped, "tiny", recipe)
    assert [line["loss"] for line in untimed(stopped) if "loss" in line] == losses


def test_muon_takes_a_matrix_of_three_dimensions_as_one_map(tiny: TrainingRecipe) -> None:
    """As Funnel's r_kernel [D, heads, D / heads]: all but the first are outputs."""
    rules = (ParameterRule("kernel", "matrix"),)
    settings = {"name": "muon", "warmup_steps": 0, "weight_decay": 0.0}
    optimizer = make_optimizer(changed(tiny, optimizer=settings), rules)
    gradients = {"kernel": jax.random.normal(jax.random.key(0), (8, 2, 4))}
    flat = {"kernel": gradients["kernel"].reshape(8, 8)}
    found, expected = (
        optimizer.update(each, optimizer.init(each), each)[0]["kernel"].reshape(8, 8) for each in (gradients, flat)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
