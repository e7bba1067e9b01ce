#!/bin/sh
# Which part of the service this container is: web, worker, beat or migrate. `exec`, so that the
# container's signals reach the program itself; anything else is a management command.
set -eu

celery_app="celery -A billing.config.celery"

case "${1:-web}" in
    web)
        # Fewer heaps with holes in them (billing/config/launcher/environment.py).
        export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}"
        exec gunicorn --config python:billing.config.gunicorn
        ;;
    worker)
        # $celery_app is three words on purpose.
        # shellcheck disable=SC2086
        exec $celery_app worker --without-gossip --without-mingle
        ;;
    beat)
        # One of it in all: two would start every job twice.
        # shellcheck disable=SC2086
        exec $celery_app beat --schedule "$DATA_DIR/celerybeat-schedule" --pidfile=
        ;;
    migrate)
        python manage.py migrate --noinput
        exec python -m billing.config.queue
        ;;
    *)
        exec python manage.py "$@"
        ;;
esac
