"""One LED that says what the capture is doing, and one button that captures at once, through gpiozero.

Stands apart because only a board with pins has them, and only where somebody has wired them up.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from unetlite.edge.capture.states import State
from unetlite.vision.errors import MissingExtraError, SettingsError

_BOUNCE_S = 0.05

# Seconds on and off; None: on all the time. Told apart from afar: the calmer, the less there is to do.
_PATTERNS: dict[State, tuple[float, float] | None] = {
    State.SEARCHING: (0.05, 1.95),
    State.ADJUSTING: (0.5, 0.5),
    State.HOLD_STILL: (0.1, 0.1),
    State.CAPTURED: None,
    State.REMOVE: None,
}
_TROUBLE = (1.5, 0.1)


@dataclass(frozen=True)
class LightSettings:
    """Pins by their BCM number, as gpiozero counts them; without a number there is no such part.

    Attributes:
        led_pin: an LED with its resistor, from the pin to ground.
        button_pin: a button from the pin to ground; a press captures the card that is seen, as it is.
    """

    led_pin: int | None = None
    button_pin: int | None = None

    def __post_init__(self) -> None:
        for name in ("led_pin", "button_pin"):
            pin = getattr(self, name)
            if pin is not None and not 0 <= pin <= 27:
                raise SettingsError(f"lights.{name}: expected a BCM number from 0 to 27, got {pin}")
        if self.led_pin is not None and self.led_pin == self.button_pin:
            raise SettingsError(f"lights: expected two pins, got {self.led_pin} for LED and button; wire one elsewhere")


class Lights:
    """The LED and the button that the settings name, or nothing.

    Use as a context manager, or call `close`.
    """

    def __init__(self, settings: LightSettings, pressed: Callable[[], object] = lambda: None) -> None:
        """Take the pins.

        Args:
            settings: which pins.
            pressed: called from a thread of its own when the button is pressed; must return at once.

        Raises:
            MissingExtraError: a pin is named, and gpiozero is not installed.
            SettingsError: this machine has no such pin, or another program uses it.
        """
        self._led = self._button = None
        self._shown: object = self
        if settings.led_pin is None and settings.button_pin is None:
            return
        gpiozero = _gpiozero()
        try:
            if settings.led_pin is not None:
                self._led = gpiozero.LED(settings.led_pin)
            if settings.button_pin is not None:
                self._button = gpiozero.Button(settings.button_pin, bounce_time=_BOUNCE_S)
                self._button.when_pressed = lambda: pressed()  # gpiozero counts the arguments of what it is given
        except (gpiozero.GPIOZeroError, OSError, RuntimeError) as error:  # lgpio's are OSError and its own RuntimeError
            self.close()
            raise SettingsError(
                f"lights: the pins could not be had ({error}); on a Pi run `sudo apt install python3-lgpio` and be in "
                f"the group gpio, elsewhere leave the section out"
            ) from error

    def __enter__(self) -> Lights:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, state: State, *, trouble: bool = False) -> None:
        """Let the LED say where the capture stands; returns at once, and does nothing while nothing changes.

        Args:
            state: of the capture.
            trouble: camera or disk fail: the LED goes out for a moment every now and then, whatever the state.
        """
        if self._led is None or (state, trouble) == self._shown:
            return
        self._shown = (state, trouble)
        pattern = _TROUBLE if trouble else _PATTERNS[state]
        if pattern is None:
            self._led.on()
        else:
            self._led.blink(*pattern)

    def close(self) -> None:
        """Turn the LED off and give the pins back."""
        if self._led is not None:
            self._led.off()
        for part in (self._led, self._button):
            if part is not None:
                part.close()
        self._led = self._button = None


def _gpiozero() -> Any:
    try:
        return importlib.import_module("gpiozero")
    except ImportError as error:
        raise MissingExtraError(
            "an LED or a button needs gpiozero, which is not installed; on Raspberry Pi OS run "
            "`sudo apt install python3-gpiozero python3-lgpio`, elsewhere `pip install gpiozero`"
        ) from error
