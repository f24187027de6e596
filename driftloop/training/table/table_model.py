"""The table model: a small ensemble of networks that reads one row of numbers, booleans and categories, and the rows before it.

The file travels inside the .mar and imports nothing of ours: a TorchServe worker sees only the unpacked archive and
site-packages. Everything between raw rows and answers is here, once, so training and serving cannot differ.

Neither `rtdl_num_embeddings` nor `tabm` is used, though both are maintained: every worker would have to install them, the shape of
their weights depends on the bins, so that a state_dict cannot be loaded without them, and they take no missing values. What is
taken from them, piecewise-linear encoding and members that share weights, needs some thirty lines here.

Shapes: N rows, F features (n numbers, c coded: categories and booleans), h history, B batch, M members, K classes.

Gorishniy, Rubachev, Babenko: On Embeddings for Numerical Features in Tabular Deep Learning (2022).
Gorishniy, Kotelnikov, Babenko: TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling (2025).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

# A column that was constant in training would explode when it starts to move: its scale is this share of
# its own size. What moves by no more than ROUNDING of its size is constant but for the noise of its last digits.
SCALE_FLOOR = 0.01
ROUNDING = 1e-14
CLIP = 8.0  # of scaled values
FARTHEST = 1e15  # scaled values are cut here first, so that no finite number gives an undefined one
STEEPNESS = 32.0  # against the trailing mean: the side on which a value lies matters more than how far off it is
BEYOND = 1e30  # lower edge of a bin that a column does not need, no value reaches it; scale of a column without any value

OTHER, MISSING = 0, 1  # first two embeddings of a coded column; those of its known codes follow
FEWEST = 4  # rows of a code below which it is "other": too few to learn an embedding from
# Share of training values that are hidden, so that what a column never showed is learned as well: as "other" in a coded column
# (else its embedding would be what it was drawn as, noise), as missing in a column without missing values.
HIDDEN = 0.005

LARGEST_LOGARITHM = 100.0  # of a value while it is learned; keeps its gradient finite
SKEWED = 1.0  # skewness of all-positive labels from which their logarithm is learned
ROWS_AT_ONCE = 8192  # rows encoded in one pass; bounds memory, not results
NUMBERS_AT_ONCE = 1 << 23  # numbers of their windows and of their encoding, likewise
BINS = 32  # default of the pieces of a number's encoding


class Chunk(NamedTuple):
    """Training rows of several optimizer steps."""

    windows: Tensor  # (R, h + 1, F) float64
    labels: Tensor  # (R,)
    size: int  # rows a step
    first: int  # steps of the epoch before these
    steps: int  # of the epoch


def stack_windows(rows: np.ndarray, *, history: int, first: int = 0) -> np.ndarray:
    """Give each row from `first` on the `history` rows before it.

    Args:
        rows: (N, F) raw values in time order; rows before `first` are context only.
        history: rows before the row to predict; 0 gives windows of that row alone.
        first: the first row to predict. Where fewer than `history` rows stand before it, the
            earliest row is repeated.

    Returns:
        (N - first, history + 1, F) float64, the row to predict last; a view where it can be.

    >>> stack_windows(np.array([[1.0], [2.0], [3.0]]), history=2, first=1)[:, :, 0].tolist()
    [[1.0, 1.0, 2.0], [1.0, 2.0, 3.0]]
    """
    rows = np.ascontiguousarray(rows, dtype=np.float64)
    missing = max(history - first, 0)
    if missing:
        rows = np.concatenate([np.repeat(rows[:1], missing, axis=0), rows])
    rows = rows[first + missing - history :]
    windows = np.lib.stride_tricks.sliding_window_view(rows, history + 1, axis=0)  # (N - first, F, h + 1)
    return windows.transpose(0, 2, 1)


def rows_at_once(history: int, features: int) -> int:
    """How many windows of `history` + 1 rows are encoded in one pass.

    >>> rows_at_once(0, 7), rows_at_once(0, 500), rows_at_once(1000, 500)
    (8192, 508, 16)
    """
    return max(1, min(ROWS_AT_ONCE, NUMBERS_AT_ONCE // ((history + 1 + BINS) * features)))


class NumberEncoder(nn.Module):
    """Fixed arithmetic from raw numbers (B, h + 1, n), nan where missing, to inputs of a layer, float32; nothing is learned by gradient.

    Of each number: its place among the quantiles of the training rows (piecewise-linear encoding), its scaled value, the same
    on a compressed scale, whether it is missing, and, when there is history, the newest against the trailing mean and
    deviation over the whole history, its half and its quarter. A missing number takes the place of the training rows' median. Every number
    of a column that is empty in the training rows counts as missing: nothing is known of its values.

    All of it is float64 up to the last cast: what differs in the last digits of a large number still differs once it is scaled.
    """

    unit: Tensor  # (n,) largest size; the rest is in this unit, so that nothing overflows
    mean: Tensor  # (n,)
    scale: Tensor
    median: Tensor
    low: Tensor  # (n, T) lower edges of the bins
    width: Tensor  # (n, T)

    def __init__(self, numbers: int, *, bins: int, history: int) -> None:
        super().__init__()
        for name, value in (("unit", 1.0), ("mean", 0.0), ("scale", 1.0), ("median", 0.0)):
            self.register_buffer(name, torch.full((numbers,), value, dtype=torch.float64))
        for name, value in (("low", BEYOND), ("width", 1.0)):
            self.register_buffer(name, torch.full((numbers, bins), value, dtype=torch.float64))
        self.spans = [span for span in (history, history // 2, history // 4) if span]
        self.bins = bins
        self.outputs = numbers * (bins + 3 + 2 * len(self.spans))

    def learn(self, columns: Iterable[np.ndarray]) -> None:
        """Set scale and bins from the training rows, column by column, each (N,)."""
        for at, column in enumerate(columns):
            known = column[~np.isnan(column)]
            if len(known):
                self._learn_column(at, known)
            else:
                self.scale[at] = BEYOND

    def _learn_column(self, at: int, known: np.ndarray) -> None:
        largest = np.abs(known).max()
        unit = largest if largest > 0 else 1.0
        known = known / unit
        mean, spread = known.mean(), known.std()
        constant = spread <= ROUNDING
        scale = SCALE_FLOOR * abs(mean) if constant else spread
        for name, value in (("unit", unit), ("mean", mean), ("scale", scale if scale > 0 else 1.0), ("median", np.median(known))):
            getattr(self, name)[at] = float(value)
        self.low[at], self.width[at] = BEYOND, 1.0
        if constant:
            return
        edges = np.unique(known)
        if len(edges) > self.bins + 1:
            edges = np.unique(np.quantile(known, np.linspace(0, 1, self.bins + 1)))
        self.low[at, : len(edges) - 1] = torch.from_numpy(edges[:-1].copy())
        self.width[at, : len(edges) - 1] = torch.from_numpy(np.diff(edges))

    def forward(self, windows: Tensor) -> Tensor:  # (B, h + 1, n) -> (B, outputs)
        """The inputs of each window's newest row."""
        # The buffers are float64, so this is, too. A cast of the windows would make the exported network refuse float32 ones.
        absent = windows.isnan() | (self.scale >= BEYOND)
        shares = torch.where(absent, self.median, (windows / self.unit).clamp(-FARTHEST, FARTHEST))
        scaled = ((shares - self.mean) / self.scale).clamp(-FARTHEST, FARTHEST)
        newest = scaled[:, -1]
        places = ((shares[:, -1, :, None] - self.low) / self.width).clamp(0, 1)  # (B, n, T)
        parts = [places.flatten(1), newest.clamp(-CLIP, CLIP), torch.asinh(4 * newest), absent[:, -1]]
        for span in self.spans:
            parts += self._against(newest, scaled[:, -1 - span : -1], ~absent[:, -1 - span : -1])
        return torch.cat([part.float() for part in parts], dim=1)

    @staticmethod
    def _against(newest: Tensor, past: Tensor, known: Tensor) -> list[Tensor]:
        """The newest numbers (B, n) against those of the rows before them that are known; without any, as if nothing had moved."""
        count = known.sum(dim=1)
        mean = torch.where(known, past, 0).sum(dim=1) / count.clamp(min=1)
        mean = torch.where(count > 0, mean, newest)
        deviation = (torch.where(known, past - mean[:, None], 0).square().sum(dim=1) / count.clamp(min=1)).sqrt()
        return [torch.asinh(mean), torch.asinh(STEEPNESS * (newest - mean) / (deviation + 0.05))]


class CodeEncoder(nn.Module):
    """From raw codes (B, c), nan where missing, to rows of one table of embeddings; a code that is not known is "other".

    A code is known if it has at least FEWEST training rows; embeddings are numbered by first appearance, so that the order of the
    categories changes nothing.
    """

    row: Tensor  # (sum of sizes,) embedding of each code of each column
    start: Tensor  # (c,) first of a column's codes in `row`
    size: Tensor  # (c,) codes of a column, float64
    other: Tensor  # (c,) embedding of "other"
    absent: Tensor  # (c,) embedding of a missing value: "other" where the training rows have none

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        size = torch.tensor(sizes, dtype=torch.int64)
        start = torch.cumsum(size, 0) - size
        other = start + 2 * torch.arange(len(sizes)) + OTHER
        self.register_buffer("size", size.double())
        self.register_buffer("start", start)
        self.register_buffer("other", other)
        self.register_buffer("absent", other.clone())
        self.register_buffer("row", torch.cat([torch.repeat_interleave(other, size), other.new_zeros(1)]))  # one more: looked up where no code is
        self.embeddings = int(size.sum()) + 2 * len(sizes)

    def learn(self, columns: Iterable[np.ndarray]) -> None:
        """Set which codes are known from the training rows, column by column, each (N,)."""
        for at, column in enumerate(columns):
            first, size, missing = int(self.start[at]), int(self.size[at]), np.isnan(column)
            other = first + 2 * at + OTHER
            self.absent[at] = other + MISSING if missing.any() else other
            # Without any value "other" would stay what it was drawn as.
            self.row[first : first + size] = self.other[at] = other + MISSING if missing.all() else other
            codes = column[~missing]
            codes = codes[(codes >= 0) & (codes < size) & (codes == np.round(codes))].astype(np.int64)
            found, appeared, count = np.unique(codes, return_index=True, return_counts=True)
            kept = count >= FEWEST
            order = found[kept][np.argsort(appeared[kept])]
            self.row[first + torch.from_numpy(order)] = other + MISSING + 1 + torch.arange(len(order))

    def forward(self, codes: Tensor) -> Tensor:  # (B, c) -> (B, c) int64
        """Rows of the table of embeddings."""
        missing = codes.isnan()
        above = codes - self.size  # float64 without a cast, see NumberEncoder.forward
        known = (above >= -self.size) & (above < 0) & (above == above.round())  # of a missing value: nothing
        at = self.start + torch.where(known, above + self.size, 0).long()
        return torch.where(missing, self.absent, torch.where(known, self.row[at], self.other))


class Members(nn.Module):
    """A linear layer of M members that share its weights; each has its own scale of the inputs, scale of the outputs, and bias.

    The first layer has no scale of its inputs: its product is then computed once for all members, and the signs that they give its
    outputs tell them apart; TabM gives that layer a scale of its inputs instead.
    """

    def __init__(self, inputs: int, outputs: int, members: int, *, first: bool) -> None:
        super().__init__()
        self.shared = nn.Linear(inputs, outputs, bias=False)
        self.taken = None if first else nn.Parameter(_signs(members, inputs))
        self.given = nn.Parameter(_signs(members, outputs) if first else torch.ones(members, outputs))
        self.bias = nn.Parameter(torch.empty(members, outputs).uniform_(-1, 1) / math.sqrt(inputs))

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, inputs) of the first layer, else (B, M, inputs) -> (B, M, outputs)
        """The outputs of each member."""
        return self.shared(x if self.taken is None else x * self.taken) * self.given + self.bias


class TableModel(pl.LightningModule):
    """Ensemble of multilayer perceptrons that share their weights, over one window of raw rows; classes or a value.

    Features only, never past labels. Missing values are nan in every kind of column; of the rows before the newest only the
    numbers count.

    Args:
        features: number of columns F.
        kinds: "number", "boolean" or "category" of each column; None: all are numbers.
        sizes: codes known of each coded column, 0 of a number; a boolean without codes is 0 or 1. None: none is coded.
        classes: number of labels K; 0 for a regression.
        history: rows before the row to predict, h.
        width: units of a hidden layer.
        depth: number of hidden layers; 0 is a linear model of the encoded row.
        members: networks of the ensemble, M.
        bins: pieces of a number's piecewise-linear encoding, at most.
        embedding: numbers that stand for a category.
        optimizer: "sgd" or "adamw".
        lr: peak of the learning-rate schedule.
        momentum: of SGD, 0..1.
        weight_decay: L2 penalty (SGD) or decoupled decay (AdamW).
        nesterov: Nesterov's form of momentum (SGD).
        class_weights: of each class in the loss; None: all count the same.

    Raises:
        ValueError: `kinds` or `sizes` do not fit the features.
    """

    bend: Tensor  # of a regression: where the logarithm of positive, skewed labels sets in; 0: they are learned as they are
    level: Tensor  # of the labels as they are learned
    spread: Tensor
    highest: Tensor  # of the answers, on the logarithm's scale
    shown: Tensor  # (F,) columns with missing values in training
    unit: Tensor  # of the loss: the labels' mean distance from their median

    embed: nn.Embedding | None

    def __init__(
        self,
        *,
        features: int,
        kinds: Sequence[str] | None = None,
        sizes: Sequence[int] | None = None,
        classes: int = 0,
        history: int = 0,
        width: int = 96,
        depth: int = 2,
        members: int = 8,
        bins: int = BINS,
        embedding: int = 16,
        optimizer: str = "adamw",
        lr: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        nesterov: bool = True,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        kinds, sizes = list(kinds or ["number"] * features), list(sizes or [0] * features)
        if len(kinds) != features or len(sizes) != features or set(kinds) - {"number", "boolean", "category"}:
            raise ValueError(f"kinds {kinds}, sizes {sizes}: give number, boolean or category, and the codes known, of each of {features} features")
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.numbers = [at for at, kind in enumerate(kinds) if kind == "number"]
        self.coded = [at for at, kind in enumerate(kinds) if kind != "number"]
        self.encode_numbers = NumberEncoder(len(self.numbers), bins=bins, history=history)
        self.encode_codes = CodeEncoder([sizes[at] or (2 if kinds[at] == "boolean" else 0) for at in self.coded])
        for name in ("level", "bend"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))
        for name in ("spread", "unit", "highest"):
            self.register_buffer(name, torch.ones((), dtype=torch.float64))
        self.register_buffer("shown", torch.zeros(features, dtype=torch.bool))
        self.embed = nn.Embedding(self.encode_codes.embeddings, embedding) if self.coded else None
        inputs = self.encode_numbers.outputs + embedding * len(self.coded)
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [Members(inputs, width, members, first=not layers), nn.ReLU()]
            inputs = width
        self.layers = nn.Sequential(*layers)
        outputs = max(classes, 1)
        self.head = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-1, 1) / math.sqrt(inputs))
        self.head_bias = nn.Parameter(torch.zeros(members, outputs))
        self.losses: list[Tensor] = []
        self.class_weights = torch.tensor(class_weights, dtype=torch.float32) if class_weights else None

    def learn_scale(self, rows: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Set scales, bins and known codes from the training rows (N, F), and a regression's scale from their labels (N,), and only from those."""
        rows = np.asarray(rows, np.float64)
        self.encode_numbers.learn(rows[:, at] for at in self.numbers)
        self.encode_codes.learn(rows[:, at] for at in self.coded)
        self.shown.copy_(torch.tensor([bool(np.isnan(column).any()) for column in rows.T]))
        if self.hparams["classes"] == 0:
            self._learn_labels(np.asarray(labels, np.float64))

    def _learn_labels(self, labels: np.ndarray) -> None:
        size = float(np.abs(labels).max()) or 1.0  # of numbers near the ends of float64 sums would overflow
        middle = float(np.median(labels / size))
        distance = float(np.abs(labels / size - middle).mean()) or 1.0
        self.unit.fill_(size * distance)
        if (labels > 0).all() and _skewness(labels / size) > SKEWED:
            logarithms = np.log1p(labels / size / middle)
            self.bend.fill_(size * middle)
            self.level.fill_(float(np.median(logarithms)))
            self.spread.fill_(float(logarithms.std()))
            self.highest.fill_(float(logarithms.max() + logarithms.std()))
        else:
            self.level.fill_(size * middle)
            self.spread.fill_(size * distance)

    def encode(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Windows (B, h + 1, F) -> inputs (B, i) float32 and rows of the embeddings (B, c); no gradient is needed."""
        return self.encode_numbers(windows[:, :, self.numbers]), self.encode_codes(windows[:, -1, self.coded])

    def members_of(self, inputs: Tensor, embedded: Tensor) -> Tensor:
        """Logits, or scaled values, of each member (B, M, K or 1)."""
        x = inputs if self.embed is None else torch.cat([inputs, self.embed(embedded).flatten(1)], dim=1)
        hidden = self.layers(x[:, None])
        return torch.einsum("bmi,mio->bmo", hidden.expand(-1, len(self.head), -1), self.head) + self.head_bias

    def forward(self, windows: Tensor) -> Tensor:  # (B, h + 1, F) -> (B, K), or (B,)
        """Logits of the label of each window's newest row, or its value: the members' mean."""
        members = self.members_of(*self.encode(windows))
        if self.hparams["classes"]:
            return torch.logsumexp(torch.log_softmax(members, dim=2), dim=1) - math.log(members.shape[1])
        return self.unscaled(members[:, :, 0], bounded=True).mean(dim=1)

    def unscaled(self, learned: Tensor, *, bounded: bool = False) -> Tensor:
        """Labels from what the network learned of them, float64; of positive labels bounded by 0 and a little over the largest."""
        scaled = self.level + self.spread * learned.double()
        logarithm = torch.minimum(scaled.clamp(min=0), self.highest) if bounded else scaled.clamp(max=LARGEST_LOGARITHM)
        return torch.where(self.bend > 0, self.bend * torch.expm1(logarithm), scaled)

    @torch.inference_mode()
    def probabilities(self, rows: np.ndarray, *, first: int = 0) -> np.ndarray:
        """Class probabilities of rows `first`.. of `rows` (N, F): (N - first, K) float32.

        Rows before `first` are context. The served answer is this function's answer.
        """
        parts = [torch.softmax(part, dim=1) for part in self._answers(rows, first)]
        return torch.cat(parts).numpy() if parts else np.empty((0, self.hparams["classes"]), np.float32)

    @torch.inference_mode()
    def values(self, rows: np.ndarray, *, first: int = 0) -> np.ndarray:
        """Values of rows `first`.. of `rows` (N, F): (N - first,) float64; as in `probabilities`."""
        parts = self._answers(rows, first)
        return torch.cat(parts).numpy() if parts else np.empty(0)

    def _answers(self, rows: np.ndarray, first: int) -> list[Tensor]:
        self.eval()
        if len(rows) <= first:
            return []
        windows = stack_windows(rows, history=self.hparams["history"], first=first)
        step = rows_at_once(self.hparams["history"], windows.shape[2])
        return [self(torch.from_numpy(np.array(windows[at : at + step]))) for at in range(0, len(windows), step)]

    def training_step(self, chunk: Chunk, _: int) -> None:
        """The optimizer steps of one chunk; Lightning's own cost, several times that of a step this small, is paid once for all."""
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        epoch, epochs = self.current_epoch, self.trainer.max_epochs or 1
        with torch.no_grad():
            inputs, embedded = self.encode(self._hide(chunk.windows))
        for at, start in enumerate(range(0, len(chunk.labels), chunk.size)):
            stop = start + chunk.size
            rate = self.hparams["lr"] * schedule((epoch + (chunk.first + at) / chunk.steps) / epochs)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = self._loss(self.members_of(inputs[start:stop], embedded[start:stop]), chunk.labels[start:stop])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            self.losses.append(loss.detach())

    def _hide(self, windows: Tensor) -> Tensor:
        """Hide a few values of the newest rows, see HIDDEN."""
        hidden = torch.rand(len(windows), windows.shape[2]) < HIDDEN
        newest = windows[:, -1].clone()
        for at in self.coded:
            newest[hidden[:, at], at] = math.inf  # a code that no column knows
        for at in self.numbers:
            if not self.shown[at]:
                newest[hidden[:, at], at] = math.nan
        return torch.cat([windows[:, :-1], newest[:, None]], dim=1)

    def _loss(self, members: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of the members, each by itself: cross-entropy, or the absolute error, the KPI itself, in units of `unit`."""
        if self.hparams["classes"]:
            return nn.functional.cross_entropy(members.flatten(0, 1), labels.repeat_interleave(members.shape[1]), weight=self.class_weights)
        return (self.unscaled(members[:, :, 0]) - labels[:, None]).abs().mean() / self.unit

    def on_train_batch_end(self, *_: Any) -> None:
        """Log the mean loss of the epoch's steps after the last one."""
        if self.trainer.is_last_batch:  # at the epoch's end MLflow's autologging has read the metrics already
            self.log("train_loss", torch.stack(self.losses).mean(), on_step=False, on_epoch=True, batch_size=1)
            self.losses.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Loss and accuracy, or MAE, on the validation rows, which come after the training rows."""
        self._score(batch, "val")

    def test_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Loss and accuracy, or MAE, on the test rows, which come after the validation rows."""
        self._score(batch, "test")

    def _score(self, batch: tuple[Tensor, Tensor], stage: str) -> None:
        windows, labels = batch
        answers = self(windows)
        if not self.hparams["classes"]:
            self.log(f"{stage}_mae", (answers - labels).abs().mean(), batch_size=len(labels))
            return
        self.log(f"{stage}_loss", nn.functional.cross_entropy(answers, labels), batch_size=len(labels))
        self.log(f"{stage}_accuracy", (answers.argmax(dim=1) == labels).float().mean(), batch_size=len(labels))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, or SGD; its learning rate follows `schedule`."""
        p = self.hparams
        if p["optimizer"] == "sgd":
            nesterov = bool(p["nesterov"]) and p["momentum"] > 0  # torch refuses Nesterov without momentum
            return torch.optim.SGD(self.parameters(), lr=p["lr"], momentum=p["momentum"], weight_decay=p["weight_decay"], nesterov=nesterov)
        return torch.optim.AdamW(self.parameters(), lr=p["lr"], weight_decay=p["weight_decay"], fused=True)


def schedule(progress: float) -> float:
    """Share of the peak learning rate when that share of the fit is done: up in the first tenth, then down along a cosine.

    >>> schedule(0.05), schedule(0.1), round(schedule(0.55), 9), schedule(1.0)
    (0.5, 1.0, 0.5, 0.0)
    """
    warm = 0.1
    return progress / warm if progress < warm else (1 + math.cos(math.pi * (progress - warm) / (1 - warm))) / 2


def _signs(*shape: int) -> Tensor:
    return torch.randint(0, 2, shape).float() * 2 - 1


def _skewness(values: np.ndarray) -> float:
    spread = values.std()
    return float((((values - values.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0
