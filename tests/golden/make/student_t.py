"""Golden values of Student's t from scipy.stats: python student_t.py > ../scoring/studentT.json"""

import json

from scipy import stats

ps = [0.6, 0.9, 0.975, 0.995, 0.99999]
dfs = [1, 2, 3, 4, 7, 19, 30, 97, 1000, 2.5]
ts = [0.0, 0.1, 1.0, 2.1, 5.0, 11.3, 40.0]
print(
    json.dumps(
        dict(
            quantiles=[dict(p=p, df=df, t=stats.t.ppf(p, df)) for p in ps for df in dfs],
            twoSided=[dict(t=t, df=df, p=2 * stats.t.sf(t, df)) for t in ts for df in dfs],
        )
    )
)
