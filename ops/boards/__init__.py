"""The four boards, one module each; `ops.dashboards` writes them as Grafana reads them."""
