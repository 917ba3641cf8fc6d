"""The pure room of windows: measurements to panes, panes to rollups, all in numpy columns.

What: series, dedupe, panes, exact sums, histograms, watermarks, and the merge of cells. Why: each output must be a
function of the log alone, so that a replay, a zombie or another checkpoint boundary changes nothing. It refuses
clocks, sockets, logging and Kafka: time comes in with the data or as ticks.
"""
