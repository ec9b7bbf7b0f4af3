"""One compiled step of training, and one of judging, on one device or on several alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from vsearch.training.losses import Objective
from vsearch.training.plan_parts import Phase


class Learner:
    """A model with a new optimizer (AdamW), compiled for one phase. What is still in the model stays still.

    Several devices share each batch: device r of n takes every n-th picture from r on, so that the two views of a
    picture stay together where n divides the batch.

    Args:
        model: pictures or features -> {head name: logits}.
        objectives: one for each head.
        phase: says how the optimizer is set.
        strategy: see `strategy`.
        scaled: scale the loss, against gradients too small for half precision.
    """

    def __init__(
        self, model: Any, objectives: Sequence[Objective], phase: Phase, *, strategy: Any, scaled: bool = False
    ) -> None:
        self.model, self._objectives, self._strategy = model, objectives, strategy
        with strategy.scope():
            self._plain = _optimizer(phase)
            self._optimizer = keras.optimizers.LossScaleOptimizer(self._plain) if scaled else self._plain
            self._optimizer.build(model.trainable_variables)
        self._step = tf.function(self._train, reduce_retracing=True)
        self._look = tf.function(self._judge, reduce_retracing=True)

    @property
    def variables(self) -> list[Any]:
        """All that a resumed phase needs: weights, statistics, random states, and the optimizer's."""
        return [*self.model.variables, *self._optimizer.variables]

    def train(self, inputs: Any, targets: Mapping[str, Any], rate: float) -> Any:
        """Learn from a batch at a learning rate; return the sums [heads, PARTS] of its losses."""
        return self._step(inputs, targets, tf.constant(rate, tf.float32))

    def judge(self, inputs: Any, targets: Mapping[str, Any]) -> Any:
        """Return the sums [heads, PARTS] of a batch without learning from it."""
        return self._look(inputs, targets)

    def swap_averages(self) -> None:
        """Put the running mean of the weights in their place and the weights in its; called again, back."""
        if self._plain.use_ema:
            for weight, mean in zip(
                self.model.trainable_variables, self._plain._model_variables_moving_average, strict=True
            ):
                kept = weight.numpy()
                weight.assign(mean)
                mean.assign(kept)

    def _train(self, inputs: Any, targets: Mapping[str, Any], rate: Any) -> Any:
        self._plain.learning_rate.assign(rate)
        return self._strategy.reduce("SUM", self._strategy.run(self._train_share, (inputs, targets)), axis=None)

    def _train_share(self, inputs: Any, targets: Mapping[str, Any]) -> Any:
        shared, wanted = self._share(inputs), {name: self._share(target) for name, target in targets.items()}
        with tf.GradientTape() as tape:
            sums = self._sums(self.model(shared, training=True), wanted, training=True)
            loss = self._loss(sums) / self._strategy.num_replicas_in_sync
            scaled = self._optimizer.scale_loss(loss)
        weights = self.model.trainable_variables
        self._optimizer.apply_gradients(zip(tape.gradient(scaled, weights), weights, strict=True))
        return sums

    def _judge(self, inputs: Any, targets: Mapping[str, Any]) -> Any:
        return self._sums(self.model(inputs, training=False), targets, training=False)

    def _loss(self, sums: Any) -> Any:
        weights = tf.constant([objective.weight for objective in self._objectives], tf.float32)
        return tf.reduce_sum(weights * sums[:, 0] / tf.maximum(sums[:, 2], 1.0))

    def _sums(self, logits: Mapping[str, Any], targets: Mapping[str, Any], *, training: bool) -> Any:
        return tf.stack(
            [o.sums(targets[o.spec.name], logits[o.spec.name], training=training) for o in self._objectives]
        )

    def _share(self, batch: Any) -> Any:
        count = self._strategy.num_replicas_in_sync
        if count == 1:
            return batch
        return batch[tf.distribute.get_replica_context().replica_id_in_sync_group :: count]


def _optimizer(phase: Phase) -> Any:
    """Return AdamW as the phase sets it; biases and batch norm do not decay."""
    optimizer = keras.optimizers.AdamW(
        phase.learning_rate, weight_decay=phase.weight_decay, use_ema=phase.ema > 0, ema_momentum=phase.ema or 0.99
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def strategy(devices: Sequence[str] | None = None) -> Any:
    """Return how a batch is shared: over the devices named, or over all GPUs where there are several.

    Keras's own `keras.distribution` shares nothing under TensorFlow; `tf.distribute.MirroredStrategy` does.
    """
    names = [f"GPU:{number}" for number in range(len(tf.config.list_logical_devices("GPU")))]
    chosen = list(devices) if devices is not None else names
    return tf.distribute.MirroredStrategy(chosen) if len(chosen) > 1 else tf.distribute.get_strategy()
