"""InverseFft: the Bragg-filtered image of the selection, or of the whole mask, in the place of the maps."""

from __future__ import annotations

from qtpy.QtCore import QObject

from ...core.maps.strain import SHOWN
from ..session.image_state import ImageState
from ..session.session import Session
from .visibility import bring_back, hide, set_visible

#: First words of the roles of layers that would cover it.
COVERING = ("heat", "selected", "orientation", *SHOWN)


class InverseFft(QObject):
    """Shows it as long as it is wanted, of whichever image and selection is current.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._shown: ImageState | None = None
        self.wanted = False
        for changed in (session.chosen_changed, session.current_changed, session.found):
            changed.connect(self._follow)

    def want(self, wanted: bool) -> None:
        """Show it from now on, or the maps again."""
        self.wanted = wanted
        self._follow()

    def _follow(self) -> None:
        image_state = self._session.current if self.wanted else None
        if self._shown is not None and self._shown is not image_state:
            self._give_back(self._shown)
        self._shown = image_state
        if image_state is None or image_state.layer is not self._session.stage.image:
            return
        group, chosen = image_state.group, self._session.chosen
        for role in group.roles:
            if role.split()[0] in COVERING:
                hide(group[role])
        inverse = group.get("ifft")
        if inverse is not None:  # that of a selection lies above it
            inverse.visible = chosen is None or not chosen.spots

    def _give_back(self, image_state: ImageState) -> None:
        """Show the maps again; those of an image that is not on the stage stay out of sight with it."""
        group = image_state.group
        if (inverse := group.get("ifft")) is not None:
            set_visible(inverse, False)
        if image_state.layer is self._session.stage.image:
            for role in group.roles:
                if role.split()[0] in COVERING:
                    bring_back(group[role])
