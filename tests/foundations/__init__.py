"""The ground that the apps stand on: environment, launcher, queue, repository."""
