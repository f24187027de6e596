"""The promotion log: who decided when, why and on which evidence that a version serves. It lives in tags of the registry's versions."""
