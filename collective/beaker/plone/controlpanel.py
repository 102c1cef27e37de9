"""The entry in the control panel of Volto."""

from plone.restapi.controlpanels import RegistryConfigletPanel
from zope.component import adapter
from zope.interface import Interface


@adapter(Interface, Interface)
class BeakerControlPanel(RegistryConfigletPanel):
    """Leads to the page ``@@beaker``: there is nothing to edit in it."""

    schema = Interface
    configlet_id = "beaker"
    configlet_category_id = "plone-advanced"
    title = "Sessions and caches"
    group = "Advanced"
