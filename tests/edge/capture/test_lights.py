"""LED and button on gpiozero's own mock pins."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from unetlite.edge.capture.lights import Lights, LightSettings
from unetlite.edge.capture.states import State
from unetlite.vision.errors import MissingExtraError, SettingsError


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A board of mock pins instead of a real one."""
    gpiozero = pytest.importorskip("gpiozero", reason="gpiozero is not installed; pip install gpiozero")
    mock = pytest.importorskip("gpiozero.pins.mock")
    factory = mock.MockFactory()
    monkeypatch.setattr(gpiozero.Device, "pin_factory", factory)
    yield factory
    factory.reset()


def wait_for(condition: Any) -> None:
    latest_s = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < latest_s, "it did not happen"
        time.sleep(0.002)


def test_the_led_is_on_after_a_capture_and_blinks_before(pins: Any) -> None:
    pin = pins.pin(17)
    with Lights(LightSettings(led_pin=17)) as lights:
        assert not pin.state
        lights.show(State.HOLD_STILL)
        wait_for(lambda: len(pin.states) > 6)
        assert {state.state for state in pin.states} == {True, False}
        lights.show(State.CAPTURED)
        assert pin.state
        count = len(pin.states)
        lights.show(State.REMOVE)
        time.sleep(0.3)
        assert pin.state
        assert all(state.state for state in pin.states[count:])
    assert not pin.state


def test_a_state_shown_again_does_not_start_its_pattern_over(pins: Any) -> None:
    pin = pins.pin(17)
    with Lights(LightSettings(led_pin=17)) as lights:
        latest_s = time.monotonic() + 20.0
        while len(pin.states) < 4:  # started over with each call, it would never get to its dark half
            lights.show(State.HOLD_STILL)
            assert time.monotonic() < latest_s
            time.sleep(0.01)


def test_trouble_is_shown_whatever_the_state_and_ends_with_it(pins: Any) -> None:
    pin = pins.pin(17)
    with Lights(LightSettings(led_pin=17)) as lights:
        lights.show(State.REMOVE)
        count = len(pin.states)
        lights.show(State.REMOVE, trouble=True)
        wait_for(lambda: not pin.state)
        wait_for(lambda: pin.state)
        assert len(pin.states) > count
        lights.show(State.REMOVE)
        assert pin.state


def test_each_press_calls_once(pins: Any) -> None:
    presses: list[int] = []
    pin = pins.pin(3)
    with Lights(LightSettings(button_pin=3), lambda: presses.append(1)):
        for count in (1, 2):
            pin.drive_low()
            wait_for(lambda count=count: len(presses) == count)
            pin.drive_high()
        assert len(presses) == 2
    pin.drive_low()
    assert len(presses) == 2


def test_pins_are_given_back(pins: Any) -> None:
    for _ in range(2):
        with Lights(LightSettings(led_pin=17, button_pin=3)) as lights:
            lights.show(State.SEARCHING)


def test_a_pin_in_use_is_said_and_the_other_one_given_back(pins: Any) -> None:
    with Lights(LightSettings(button_pin=3)):
        with pytest.raises(SettingsError, match="lights: the pins could not be had .*GPIO3"):
            Lights(LightSettings(led_pin=17, button_pin=3))
        with Lights(LightSettings(led_pin=17)):
            pass


def test_a_machine_without_pins_is_said(pins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gpiozero = pytest.importorskip("gpiozero")
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "nosuchfactory")
    with pytest.raises(SettingsError, match="be in the group gpio"):
        Lights(LightSettings(led_pin=17))


def test_without_pins_in_the_settings_gpiozero_is_not_even_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    with Lights(LightSettings()) as lights:
        lights.show(State.SEARCHING)
    with pytest.raises(MissingExtraError, match="apt install python3-gpiozero"):
        Lights(LightSettings(led_pin=17))


@pytest.mark.parametrize(("led", "button"), [(28, None), (None, -1), (4, 4)])
def test_pins_that_cannot_be_are_refused(led: int | None, button: int | None) -> None:
    with pytest.raises(SettingsError, match="lights"):
        LightSettings(led, button)
