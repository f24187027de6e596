"""When the KPI will cross the threshold, from its trend or from how long earlier versions lasted."""
