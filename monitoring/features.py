"""One input of a model, as the services take, check and code it."""

from __future__ import annotations

import math
import re
import struct
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from driftloop.data.schema.schema import Column
from monitoring.records.checks import LONGEST_TEXT, is_number

Given = float | str | bool | None  # a value of a row, as it was given
LARGEST_FLOAT32: Final = 3.4e38
_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # half a character: no database and no UTF-8 text holds it


@dataclass(frozen=True)
class Feature:
    """One input of a model; null as well, if it is not `required`.

    A number in `low`..`high`, both included and infinite without a limit; a `categorical` one takes the whole numbers in that range.
    With `texts`, in the order of the model's codes, a category or (`boolean`) a yes or no that is written as text: any text, number, true or
    false, of which those that are no text of the model count as unseen. Without texts a `boolean` is true, false, 1 or 0.

    >>> zone = Feature("zone", low=1, high=3, categorical=True)
    >>> zone.categories, zone.fault(2), zone.fault(2.5), zone.fault(7), zone.fault(None), zone.fault("2")
    ((1, 2, 3), '', 'unknown_category', 'unknown_category', 'missing', 'not_a_number')
    >>> fuel = Feature("fuel", texts=("diesel", "gas"))
    >>> fuel.fault("coal"), fuel.fault(["gas"]), fuel.code("gas"), fuel.code("coal"), fuel.code(None)
    ('', 'not_a_text', 1.0, 2.0, nan)
    """

    name: str
    low: float = -math.inf
    high: float = math.inf
    categorical: bool = False
    required: bool = True
    texts: tuple[str, ...] = ()
    boolean: bool = False
    example: float = 0.0  # a usual number, of one without limits

    @cached_property
    def limits(self) -> tuple[float, float]:
        """`low` and `high`, widened to their float32 values: a table of float32 holds 0.6 as 0.60000002."""
        if self.categorical:
            return self.low, self.high
        low, high = (struct.unpack("f", struct.pack("f", edge))[0] if abs(edge) < LARGEST_FLOAT32 else edge for edge in (self.low, self.high))
        return min(self.low, low), max(self.high, high)

    @property
    def categories(self) -> tuple[int, ...] | None:
        """The values of a categorical feature of whole numbers; None for others."""
        return tuple(range(int(self.low), int(self.high) + 1)) if self.categorical else None

    @property
    def coded(self) -> bool:
        """Whether its numbers are codes: of texts, of yes and no, or of categories."""
        return self.categorical or self.boolean or bool(self.texts)

    @property
    def described(self) -> bool:
        """Whether it is as a model describes it, that takes values as they are, and not a number in limits."""
        return bool(self.texts) or self.boolean or (not self.categorical and math.isinf(self.low) and math.isinf(self.high))

    @property
    def column(self) -> Column:
        """The feature as the drift functions take it; a categorical one's numbers are levels, as they stand."""
        kind = "boolean" if self.boolean else "category" if self.texts or self.categorical else "number"
        low, high = (edge if math.isfinite(edge) else None for edge in (self.low, self.high))
        return Column(self.name, "feature", kind, low=low, high=high, categories=self.texts)

    @cached_property
    def _codes(self) -> dict[str, float]:
        return {text: float(code) for code, text in enumerate(self.texts)}

    def code(self, value: Any) -> float:
        """A value without a fault as the number it is to the model: itself, 0 or 1, or the place of a text; nan where null, `len(texts)` where unseen."""
        if value is None:
            return math.nan
        return self._codes.get(as_text(value), float(len(self.texts))) if self.texts else float(value)

    @property
    def plain(self) -> Any:
        """A value without a fault: the middle of the range, the first category, or an example."""
        if self.texts or self.boolean:
            return self.texts[0] if self.texts else False
        if self.categories:
            return self.categories[0]
        return self.example if self.described else (self.low + self.high) / 2

    def fault(self, value: object) -> str:
        """The fault of a value, as one of `REASONS`; "" if valid."""
        if value is None:
            return "missing" if self.required else ""
        if self.texts:
            return "" if can_be_recorded(value) else "not_a_text"
        if self.boolean:
            return "" if type(value) in {bool, int, float} and value in {0, 1} else "not_a_boolean"
        return self._fault_of_number(value)

    def _fault_of_number(self, value: Any) -> str:
        if type(value) not in {int, float} or (isinstance(value, float) and not math.isfinite(value)):  # a bool is an int, but not a measurement
            return "not_a_number"
        if self.categorical:
            return "" if self.low <= value <= self.high and value == int(value) else "unknown_category"
        lowest, highest = self.limits
        return "" if lowest <= value <= highest and abs(value) <= sys.float_info.max else "out_of_range"


def as_text(value: object) -> str:
    """A value of a category as its text: a whole number has no decimal point, as in training.

    >>> as_text(161.0), as_text(1.5), as_text(True), as_text("161")
    ('161', '1.5', 'True', '161')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def can_be_recorded(value: object) -> bool:
    """Whether a value is a text, true, false or a number that a record may hold."""
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT and not _SURROGATE.search(value)
    return type(value) is bool or is_number(value)
