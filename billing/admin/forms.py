"""Form fields and widgets that look like the rest of the admin."""

from typing import Any

from django import forms
from django.utils.timezone import get_default_timezone


class PlainForm(forms.Form):
    """A form whose inputs carry the admin's own style (static/faces/admin.css)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.setdefault("class", "page-input")
            if isinstance(field, forms.DecimalField):
                # As text: a browser's number input would pass the value through a float.
                field.widget = forms.TextInput(
                    attrs={"class": "page-input", "inputmode": "decimal", "autocomplete": "off"}
                )


class UtcHourField(forms.DateTimeField):
    """An instant in UTC. That it is a whole hour is the service's rule."""

    widget = forms.DateTimeInput(
        attrs={"type": "datetime-local", "class": "page-input"}, format="%Y-%m-%dT%H:%M"
    )

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", f"In {get_default_timezone()}, a whole hour.")
        super().__init__(
            input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"], **kwargs
        )


class DayField(forms.DateField):
    """A date picked from a calendar."""

    widget = forms.DateInput(attrs={"type": "date", "class": "page-input"}, format="%Y-%m-%d")
