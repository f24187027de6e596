"""Who serves next: challengers and earlier versions in the shadow of the version in service, by the paired test."""
