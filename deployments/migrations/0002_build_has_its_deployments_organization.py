"""A build's organization, by which builds take turns, is its deployment's: the database refuses any other.

Django has no foreign keys of two columns. Where a deployment goes to another organization its builds go along.
"""

from django.db import migrations

ADD = """
ALTER TABLE deployments_build ADD CONSTRAINT build_has_its_deployments_organization
    FOREIGN KEY (deployment_id, organization_id) REFERENCES deployments_deployment (id, organization_id)
    ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
DROP = "ALTER TABLE deployments_build DROP CONSTRAINT build_has_its_deployments_organization;"


class Migration(migrations.Migration):
    """Adds the constraint."""

    dependencies = [("deployments", "0001_initial")]
    operations = [migrations.RunSQL(ADD, DROP)]
