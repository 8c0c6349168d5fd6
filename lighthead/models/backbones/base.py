"""What every backbone of the project shares: stages, freezing, initialisation."""

from collections.abc import Mapping, Sequence

import torch.nn as nn
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from lighthead.errors import UserError
from lighthead.weights import WeightSource, load_pretrained
from lighthead.weights.identity_norm import keeps_identity
from lighthead.weights.star import star_names


class StagedBackbone(BaseModule):
    """A stem, then stages in a row, some of whose outputs are returned.

    A subclass names its modules in ``stem_names`` and ``stage_names`` (forward
    order), sets ``stage_channels`` (output channels of each stage) and creates
    the modules, with the layers of ``layer_cfgs``, before it calls :meth:`freeze`.

    Args:
        out_indices: Which stages to return; 0 is the first of ``stage_names``.
        frozen_stages: -1 freezes nothing, 0 the stem (up to stride 4), n the stem and
            the first n stages: no gradients, and their norm layers in eval mode. The
            layers that ShuffleNetV2* adds are never frozen: with ShuffleNetV2's weights
            they start as identities, and frozen they would compute nothing for ever.
        norm_eval: Whether norm layers use their stored statistics in training.
            It only holds where statistics were loaded (see :meth:`init_weights`).
        norm_cfg: Norm layer, ``dict(type='BN')`` where it is None; with
            ``requires_grad=False`` its scale and shift are not trained (but
            those of the layers that ShuffleNetV2* adds are).
        act_cfg: Activation layer, ``default_activation`` where it is None.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` loads weights
            through :mod:`lighthead.weights`.
    """

    stem_names: tuple[str, ...] = ()
    stage_names: tuple[str, ...] = ()
    stage_channels: tuple[int, ...] = ()
    default_activation = 'ReLU'

    def __init__(
        self,
        out_indices: Sequence[int] = (0, 1, 2),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        count = len(self.stage_names)
        if not out_indices or not all(0 <= index < count for index in out_indices):
            raise UserError(
                f'out_indices={tuple(out_indices)} does not fit {type(self).__name__}: '
                f'choose from 0..{count - 1} ({", ".join(self.stage_names)}).'
            )
        if not -1 <= frozen_stages <= count:
            raise UserError(f'frozen_stages={frozen_stages} is not in -1..{count}.')
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.layer_cfgs = dict(
            norm_cfg=norm_cfg or dict(type='BN'),
            act_cfg=act_cfg or dict(type=self.default_activation),
        )
        self.loaded_norms: frozenset[str] | None = None
        """Norm layers whose statistics were loaded; None while nothing is known,
        as in a network that was built only to receive a detector's checkpoint."""
        self.weight_source: WeightSource | None = None
        """Where the loaded weights came from (:class:`lighthead.weights.WeightSource`)."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) to one feature map (B, C, H/stride, W/stride) per out index."""
        for name in self.stem_names:
            x = getattr(self, name)(x)
        outputs = {}
        for index, name in enumerate(self.stage_names[: max(self.out_indices) + 1]):
            x = getattr(self, name)(x)
            outputs[index] = x
        return tuple(outputs[index] for index in self.out_indices)

    def rename_published(self, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a published network of this kind, under the names used here."""
        return dict(state_dict)

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Channels of each returned feature map."""
        return tuple(self.stage_channels[index] for index in self.out_indices)

    def frozen_names(self) -> tuple[str, ...]:
        """Names of the frozen modules, in forward order."""
        if self.frozen_stages < 0:
            return ()
        return self.stem_names + self.stage_names[: self.frozen_stages]

    def norms(self) -> dict[str, _BatchNorm]:
        """All norm layers that keep running statistics, by qualified name."""
        return {n: m for n, m in self.named_modules() if isinstance(m, _BatchNorm)}

    def freeze(self) -> None:
        """Stop the gradients of the frozen stages and put them in eval mode."""
        for name in self.frozen_names():
            module = getattr(self, name)
            module.eval()
            parameters = dict(module.named_parameters())
            for key in parameters.keys() - star_names(parameters):
                parameters[key].requires_grad = False

    def train(self, mode: bool = True) -> nn.Module:
        """Training mode that leaves frozen stages, trusted and identity norms in eval mode."""
        super().train(mode)
        if mode:
            self.freeze()
            for name, norm in self.norms().items():
                known = self.loaded_norms is None or name in self.loaded_norms
                if (self.norm_eval and known) or keeps_identity(norm):
                    norm.eval()
        return self

    def init_weights(self) -> None:
        """Load the weights of ``init_cfg``, or initialise at random where it is None.

        Raises:
            UserError: if norm layers would be frozen whose statistics were never
                trained, or if the weights do not fit (see
                :func:`lighthead.weights.load_pretrained`).
        """
        if self.init_cfg and self.init_cfg.get('type') == 'Pretrained':
            report = load_pretrained(self, self.init_cfg['checkpoint'])
            self.weight_source = report.source
            self.set_loaded_norms(report.loaded_norms)
            self._is_init = True
        else:
            super().init_weights()
            self.set_loaded_norms(())

    def set_loaded_norms(self, names: Sequence[str]) -> None:
        """Declare which norm layers have trained statistics; the others train their own."""
        self.loaded_norms = frozenset(names)
        untrained = [name for name in self.norms() if name not in self.loaded_norms]
        self._refuse_freezing(untrained)
        if self.norm_eval and untrained:
            affine = self.layer_cfgs['norm_cfg'].get('requires_grad', True)
            print_log(
                f'norm_eval: the statistics of {len(untrained)} norm layers were not loaded '
                f'({untrained[0]}, ...); these layers train their own'
                + ('.' if affine else '; their scale and shift stay at 1 and 0 '
                   '(norm_cfg.requires_grad=False).'),
                logger='current',
            )  # fmt: skip
        self.train(self.training)

    def _refuse_freezing(self, untrained: list[str]) -> None:
        frozen = tuple(f'{name}.' for name in self.frozen_names())
        never_trained = [n for n in untrained if f'{n}.'.startswith(frozen)] if frozen else []
        nothing_loaded = self.norm_eval and not self.loaded_norms and self.norms()
        if never_trained or nothing_loaded:
            what = f'{never_trained[0]} is frozen' if never_trained else 'norm_eval=True'
            raise UserError(
                f'{type(self).__name__}: {what}, but its batch-norm statistics were never trained: '
                'give pretrained weights in init_cfg, or train from scratch with --from-scratch '
                '(frozen_stages=-1, norm_eval=False, norm_cfg.requires_grad=True).'
            )
