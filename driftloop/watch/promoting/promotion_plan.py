"""The settings of promotions in a watch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from driftloop.settings import PROMOTE_ALPHA, SHADOW_BLOCKS

JUDGE: Final = "judge"
SHADOW: Final = "shadow"


@dataclass(frozen=True)
class PromotionPlan:
    """How a challenger becomes the champion.

    `way` is "judge", by the judge's rows at once, or "shadow", by rows that come after its training. `alpha` is the maximum probability, over a
    whole shadow of at most `blocks` blocks, that one which is no better is promoted. With `go_back` the version before stays in shadow after each
    swap, and the swap is undone when that is proven to be better, at the same `alpha` for each swap. Before each retrain the `earlier` last
    champions are tried (`promoting.earlier`).
    """

    way: str = JUDGE
    alpha: float = PROMOTE_ALPHA
    blocks: int = SHADOW_BLOCKS
    go_back: bool = False
    earlier: int = 0

    def params(self) -> dict[str, Any]:
        """The settings as parameters of a run."""
        found: dict[str, Any] = {"promote": self.way, "go_back": self.go_back, "earlier_versions": self.earlier}
        found |= {"promote_alpha": self.alpha} if self.way == SHADOW or self.go_back else {}
        return found | ({"shadow_blocks": self.blocks} if self.way == SHADOW else {})


BY_JUDGE: Final = PromotionPlan()
