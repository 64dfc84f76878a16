"""The policy: configuration, network, prefix cache and FLOPs formula."""
