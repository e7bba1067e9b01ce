"""The roof: settings, urls, Celery, the launcher. It may import everything; only `billing.apps`
imports from it, so that Celery's app is there before any task is declared."""
